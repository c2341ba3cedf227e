// Writes compressed files and archives for tests.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace lithe::testing {

struct Filter {
    const char* suffix;
    int (*add)(archive*);
};
inline constexpr Filter kFilters[] = {{".gz", archive_write_add_filter_gzip},
                                      {".xz", archive_write_add_filter_xz},
                                      {".zst", archive_write_add_filter_zstd},
                                      {".bz2", archive_write_add_filter_bzip2}};

inline void compress(const std::string& path, const std::string& text, int (*filter)(archive*)) {
    archive* out = archive_write_new();
    filter(out);
    archive_write_set_format_raw(out);
    archive_write_open_filename(out, path.c_str());
    archive_entry* entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_write_header(out, entry);
    archive_write_data(out, text.data(), text.size());
    archive_entry_free(entry);
    archive_write_free(out);
}

struct ArchiveMember {
    std::string name, text, link = "";
};

// The kind follows the name: .tar, .tar.gz, .tar.xz, .tar.zst, .zip.
inline void write_archive(const std::string& path, const std::vector<ArchiveMember>& members) {
    archive* out = archive_write_new();
    if (path.ends_with(".zip")) archive_write_set_format_zip(out);
    else archive_write_set_format_pax_restricted(out);
    for (const Filter& filter : kFilters)
        if (path.ends_with(std::string(".tar") + filter.suffix)) filter.add(out);
    if (archive_write_open_filename(out, path.c_str()) != ARCHIVE_OK) throw std::runtime_error("cannot write " + path);
    for (const ArchiveMember& member : members) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, member.name.c_str());
        archive_entry_set_filetype(entry, member.link.empty() ? AE_IFREG : AE_IFLNK);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, int64_t(member.text.size()));
        if (!member.link.empty()) archive_entry_set_symlink(entry, member.link.c_str());
        archive_write_header(out, entry);
        archive_write_data(out, member.text.data(), member.text.size());
        archive_entry_free(entry);
    }
    archive_write_free(out);
}

}  // namespace lithe::testing

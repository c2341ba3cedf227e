#include "lithe/formats/compressed.h"

#include <archive.h>
#include <archive_entry.h>

#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

std::string read_source(const std::string& path) {
    ByteSource source(path);
    std::string text, buffer(1000, '\0');
    while (uint64_t count = source.read(buffer.data(), buffer.size())) text.append(buffer, 0, count);
    return text;
}

void compress(const std::string& path, const std::string& text, int (*filter)(archive*)) {
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

TEST(ByteSource, ReadsEveryKindAndNoticesCuts) {
    testing::TemporaryFolder folder;
    std::string text = testing::sample_text(200'000);
    EXPECT_EQ(read_source(folder.write("plain", text)), text);
    struct Kind {
        const char* name;
        int (*filter)(archive*);
    };
    for (const Kind& kind : {Kind{"t.gz", archive_write_add_filter_gzip},
                             {"t.xz", archive_write_add_filter_xz},
                             {"t.zst", archive_write_add_filter_zstd},
                             {"t.bz2", archive_write_add_filter_bzip2}}) {
        const std::string path = folder.file(kind.name);
        compress(path, text, kind.filter);
        EXPECT_TRUE(ByteSource::is_compressed(path));
        EXPECT_EQ(read_source(path), text) << kind.name;
        std::string packed = testing::read_all(path);
        EXPECT_ERROR(read_source(folder.write(std::string("cut-") + kind.name, packed.substr(0, packed.size() / 2))),
                     ExitCode::bad_file, "cannot decompress");
    }
    EXPECT_ERROR(read_source(folder.file("missing")), ExitCode::bad_file, "cannot open file");
}

}  // namespace
}  // namespace lithe

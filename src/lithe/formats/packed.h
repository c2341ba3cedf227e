// Files as streams of members, unpacked on the way, with bounded memory: a plain or compressed file (.gz, .xz, .zst,
// .bz2) is one member; a tar (also compressed) or zip archive has one for each regular file in it. Nothing is written
// to disk and no name of an archive is used as a path. The kind is told by content, not by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lithe {

enum class PackedKind { plain, compressed, archive };

class PackedFile {
 public:
    // `max_expansion`: a file that unpacks to more than this many times its size is refused as an archive bomb.
    explicit PackedFile(const std::string& path, double max_expansion = kMaxExpansion);
    // A compressed file (kind_of_bytes: compressed) that is the member `outer` stands at; `head`: what was read of it
    // already. `outer` must outlive it and stay at the member.
    PackedFile(PackedFile& outer, std::string head, double max_expansion);
    ~PackedFile();
    // Goes to the next member; false at the end. Throws bad_file for damage, with the member and offset.
    bool next();
    // Whether the member is one of an archive; false where the file itself is the one member.
    bool is_archive() const;
    // Of the member: as it stands in the archive, for people only; the file's own name for single files.
    const std::string& name() const;
    // The next bytes of the member; 0 at its end.
    uint64_t read(char* buffer, uint64_t size);
    // The next bytes of the member, `size` of them but at its end.
    std::string read_full(uint64_t size);
    // Names of links, devices and other members without content of their own that the last next() passed over.
    const std::vector<std::string>& skipped() const;

    static PackedKind kind_of(const std::string& path);
    static PackedKind kind_of_bytes(std::string_view head);  // of the first 512 bytes
    static constexpr double kMaxExpansion = 500;

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Bytes that PPMd (variant H, order 6, 16 MiB, in a 7z archive with some 100 bytes of its own) makes of the text.
// Throws failed when libarchive cannot.
uint64_t packed_size(std::string_view text);

}  // namespace lithe

// Reads plain, .gz, .xz, .zst and .bz2 files as a stream of bytes, with bounded memory (libarchive's filters). The kind
// is told by the first bytes, not by the name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace lithe {

class ByteSource {
 public:
    explicit ByteSource(const std::string& path);
    ~ByteSource();
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;
    // Up to `size` bytes; 0 at the end. A damaged or cut-off file is an Error with the offset reached.
    uint64_t read(char* buffer, uint64_t size);

    static bool is_compressed(const std::string& path);

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace lithe

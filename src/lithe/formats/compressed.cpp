#include "lithe/formats/compressed.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"

namespace lithe {

struct ByteSource::Impl {
    std::string path;
    FILE* plain = nullptr;
    archive* packed = nullptr;
    uint64_t position = 0;

    ~Impl() {
        if (plain) std::fclose(plain);
        if (packed) archive_read_free(packed);
    }
    [[noreturn]] void damaged() const {
        const char* reason = archive_error_string(packed);
        fail_file("cannot decompress after " + std::to_string(position) +
                      " bytes of text: " + printable(reason ? reason : "unknown reason"),
                  path, "the file is damaged or cut off; fetch it again");
    }
};

bool ByteSource::is_compressed(const std::string& path) {
    FILE* file = std::fopen(path.c_str(), "rbe");
    if (!file) return false;
    unsigned char head[6] = {};
    size_t count = std::fread(head, 1, sizeof head, file);
    std::fclose(file);
    auto begins = [&](std::initializer_list<unsigned char> magic) {
        return count >= magic.size() && std::memcmp(head, magic.begin(), magic.size()) == 0;
    };
    return begins({0x1F, 0x8B}) || begins({0xFD, '7', 'z', 'X', 'Z', 0}) || begins({0x28, 0xB5, 0x2F, 0xFD}) ||
           begins({'B', 'Z', 'h'});
}

ByteSource::ByteSource(const std::string& path) : impl_(std::make_unique<Impl>()) {
    impl_->path = path;
    if (!is_compressed(path)) {
        impl_->plain = std::fopen(path.c_str(), "rbe");
        if (!impl_->plain) fail_errno("cannot open file", path, ExitCode::bad_file);
        return;
    }
    impl_->packed = archive_read_new();
    for (auto support : {archive_read_support_filter_gzip, archive_read_support_filter_xz,
                         archive_read_support_filter_zstd, archive_read_support_filter_bzip2})
        support(impl_->packed);
    archive_read_support_format_raw(impl_->packed);
    archive_entry* entry = nullptr;
    if (archive_read_open_filename(impl_->packed, path.c_str(), 1 << 16) != ARCHIVE_OK ||
        archive_read_next_header(impl_->packed, &entry) != ARCHIVE_OK)
        impl_->damaged();
}

ByteSource::~ByteSource() = default;

uint64_t ByteSource::read(char* buffer, uint64_t size) {
    uint64_t count = 0;
    if (impl_->plain) {
        count = std::fread(buffer, 1, size, impl_->plain);
        if (count == 0 && std::ferror(impl_->plain)) fail_errno("cannot read file", impl_->path, ExitCode::bad_file);
    } else {
        la_ssize_t result = archive_read_data(impl_->packed, buffer, size);
        if (result < 0) impl_->damaged();
        count = uint64_t(result);
    }
    impl_->position += count;
    return count;
}

}  // namespace lithe

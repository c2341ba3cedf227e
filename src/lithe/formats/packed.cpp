#include "lithe/formats/packed.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

constexpr uint64_t kSmall = 64 << 20;  // unpacked bytes that are never called a bomb

archive* new_reader() {
    archive* reader = archive_read_new();
    for (auto support : {archive_read_support_filter_gzip, archive_read_support_filter_xz,
                         archive_read_support_filter_zstd, archive_read_support_filter_bzip2})
        support(reader);
    return reader;
}

bool has_tar_magic(std::string_view head) { return head.size() >= 512 && head.substr(257, 5) == "ustar"; }

// Whether what is packed begins like a tar archive. libarchive's own guess takes any run of zeros for one.
bool holds_tar(const std::string& path) {
    std::unique_ptr<archive, int (*)(archive*)> reader(new_reader(), archive_read_free);
    archive_read_support_format_raw(reader.get());
    archive_entry* entry = nullptr;
    char head[512] = {};
    if (archive_read_open_filename(reader.get(), path.c_str(), 1 << 16) != ARCHIVE_OK ||
        archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK)
        return false;
    const la_ssize_t count = archive_read_data(reader.get(), head, sizeof head);
    return count > 0 && has_tar_magic({head, size_t(count)});
}

// libarchive gives names in the encoding of the thread's locale: without this, in a program that sets none, those that
// are marked as UTF-8 and not ASCII are lost.
class Utf8Names {
 public:
    Utf8Names() : before_(uselocale(locale())) {}
    ~Utf8Names() { uselocale(before_); }
    Utf8Names(const Utf8Names&) = delete;
    Utf8Names& operator=(const Utf8Names&) = delete;

 private:
    static locale_t locale() {
        static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
        return utf8;  // null, where there is none, changes nothing
    }
    locale_t before_;
};

std::string name_of(archive_entry* entry) {
    const char* name = archive_entry_pathname(entry);
    if (!name) name = archive_entry_pathname_utf8(entry);
    return name ? name : "(no name)";
}

// Whether anything but padding stands in the file from `offset` on.
bool any_but_zeros(const std::string& path, uint64_t offset) {
    std::ifstream file(path, std::ios::binary);
    file.seekg(std::streamoff(offset));
    return std::any_of(std::istreambuf_iterator<char>(file), {}, [](char c) { return c != 0; });
}

// "the archive ends early" and the like, in the words of libarchive.
std::string reason_of(archive* packed) {
    const char* reason = archive_error_string(packed);
    return printable(reason ? reason : "unknown reason");
}

}  // namespace

struct PackedFile::Impl {
    std::string path, member;  // member: name of the current one
    double max_expansion = 0;
    FILE* plain = nullptr;
    archive* packed = nullptr;
    bool started = false, is_archive = false;
    uint64_t position = 0, total = 0, size = 0;
    std::vector<std::string> skipped;
    PackedFile* outer = nullptr;  // where the packed bytes come from, if not from a file
    std::string block;            // of them
    std::exception_ptr outer_error;

    ~Impl() {
        if (plain) std::fclose(plain);
        if (packed) archive_read_free(packed);
    }
    void open_packed(bool tar) {
        packed = new_reader();
        const bool zip = kind_of(path) == PackedKind::archive && !tar;
        if (tar) archive_read_support_format_tar(packed);
        else if (zip) archive_read_support_format_zip(packed);
        else {
            archive_read_support_format_raw(packed);
            archive_read_support_format_empty(packed);
        }
        if (archive_read_open_filename(packed, path.c_str(), 1 << 18) != ARCHIVE_OK) damaged();
    }
    // No exception may pass through libarchive.
    static la_ssize_t read_outer(archive*, void* self, const void** data) {
        Impl& p = *static_cast<Impl*>(self);
        try {
            if (p.size > 0) p.block = p.outer->read_full(1 << 18);  // the first block is the head
        } catch (...) {
            p.outer_error = std::current_exception();
            return ARCHIVE_FATAL;
        }
        p.size += p.block.size();
        *data = p.block.data();
        return la_ssize_t(p.block.size());
    }
    std::string where() const { return is_archive ? path + ", member " + member : path; }
    [[noreturn]] void damaged() const {
        if (outer_error) std::rethrow_exception(outer_error);
        fail_file("cannot decompress after " + std::to_string(position) + " bytes of text: " + reason_of(packed),
                  where(), "the file is damaged or cut off; fetch it again");
    }
    // At the end of a compressed text: libarchive stops in silence at what does not go on with the same packing.
    void check_all_was_read() const {
        if (is_archive) return;
        const auto used = uint64_t(archive_filter_bytes(packed, -1));
        if (outer || used >= size || !any_but_zeros(path, used)) return;
        fail_file(std::to_string(size - used) + " bytes behind the compressed text, which ends at byte " +
                      std::to_string(used) + ", are of another kind",
                  path, "cut the file there, or unpack it yourself");
    }
    // A tar ends with a block of zeros, which the last reading of a header took where it is there; libarchive takes the
    // end of the file for one.
    void check_end_of_tar() const {
        if ((archive_format(packed) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_TAR) return;
        if (archive_filter_bytes(packed, 0) > archive_read_header_position(packed)) return;
        fail_file("the archive is cut off after a member: the blocks of zeros that end a tar are missing", where(),
                  "fetch it again; if it is whole, unpack it and name the folder");
    }
    void check_expansion() const {
        if (total <= kSmall || double(total) <= max_expansion * double(size)) return;
        fail_file("the file of " + format_bytes(double(size)) + " unpacks to more than " +
                      format_number(max_expansion) + " times its size: an archive bomb",
                  where(), "unpack it yourself if it is what it claims to be");
    }
};

PackedKind PackedFile::kind_of(const std::string& path) {
    FILE* file = std::fopen(path.c_str(), "rbe");
    if (!file) return PackedKind::plain;
    char head[512] = {};
    const size_t count = std::fread(head, 1, sizeof head, file);
    std::fclose(file);
    return kind_of_bytes({head, count});
}

PackedKind PackedFile::kind_of_bytes(std::string_view head) {
    auto begins = [&](std::initializer_list<unsigned char> magic) {
        return head.size() >= magic.size() && std::memcmp(head.data(), magic.begin(), magic.size()) == 0;
    };
    if (begins({'P', 'K', 3, 4}) || begins({'P', 'K', 5, 6})) return PackedKind::archive;
    if (has_tar_magic(head)) return PackedKind::archive;
    const bool bzip2 = begins({'B', 'Z', 'h'}) && head.size() >= 10 && head.substr(4, 6) == "1AY&SY";
    const bool compressed =
        begins({0x1F, 0x8B}) || begins({0xFD, '7', 'z', 'X', 'Z', 0}) || begins({0x28, 0xB5, 0x2F, 0xFD});
    return compressed || bzip2 ? PackedKind::compressed : PackedKind::plain;
}

PackedFile::PackedFile(const std::string& path, double max_expansion) : impl_(std::make_unique<Impl>()) {
    impl_->path = path;
    impl_->max_expansion = max_expansion;
    impl_->member = std::filesystem::path(path).filename().string();
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) fail_errno("cannot open file", path, ErrorKind::bad_file);
    if (S_ISDIR(status.st_mode)) fail_file("a folder where a file is expected", path);
    impl_->size = uint64_t(status.st_size);
    if (kind_of(path) == PackedKind::plain) {
        impl_->plain = std::fopen(path.c_str(), "rbe");
        if (!impl_->plain) fail_errno("cannot open file", path, ErrorKind::bad_file);
        posix_fadvise(fileno(impl_->plain), 0, 0, POSIX_FADV_SEQUENTIAL);
        return;
    }
    impl_->open_packed(holds_tar(path));
}

PackedFile::PackedFile(PackedFile& outer, std::string head, double max_expansion) : impl_(std::make_unique<Impl>()) {
    impl_->path = outer.impl_->where();
    impl_->member = outer.name();
    impl_->max_expansion = max_expansion;
    impl_->outer = &outer;
    impl_->block = std::move(head);
    impl_->packed = new_reader();
    archive_read_support_format_raw(impl_->packed);
    archive_read_support_format_empty(impl_->packed);
    if (archive_read_open(impl_->packed, impl_.get(), nullptr, Impl::read_outer, nullptr) != ARCHIVE_OK)
        impl_->damaged();
}

PackedFile::~PackedFile() = default;

bool PackedFile::next() {
    Impl& p = *impl_;
    p.skipped.clear();
    if (p.plain) return !std::exchange(p.started, true);
    const Utf8Names names;
    for (;;) {
        archive_entry* entry = nullptr;
        const int result = archive_read_next_header(p.packed, &entry);
        if (result == ARCHIVE_EOF) {
            p.check_end_of_tar();
            return false;
        }
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) p.damaged();
        p.position = 0;
        if (archive_format(p.packed) == ARCHIVE_FORMAT_RAW) return true;
        p.is_archive = true;
        p.member = printable(name_of(entry));
        if (archive_entry_is_encrypted(entry)) fail_file("the archive is encrypted", p.where(), "decrypt it first");
        const bool link = archive_entry_hardlink(entry) || archive_entry_symlink(entry);
        if (archive_entry_filetype(entry) == AE_IFREG && !link) return true;
        if (archive_entry_filetype(entry) != AE_IFDIR) p.skipped.push_back(p.member);
    }
}

const std::string& PackedFile::name() const { return impl_->member; }
bool PackedFile::is_archive() const { return impl_->is_archive; }
const std::vector<std::string>& PackedFile::skipped() const { return impl_->skipped; }

uint64_t PackedFile::read(char* buffer, uint64_t size) {
    Impl& p = *impl_;
    uint64_t count = 0;
    if (p.plain) {
        count = std::fread(buffer, 1, size, p.plain);
        if (count == 0 && std::ferror(p.plain)) fail_errno("cannot read file", p.path, ErrorKind::bad_file);
    } else {
        const la_ssize_t result = archive_read_data(p.packed, buffer, size);
        if (result < 0) p.damaged();
        count = uint64_t(result);
        if (count == 0 && size > 0) p.check_all_was_read();
        p.total += count;
        p.check_expansion();
    }
    p.position += count;
    return count;
}

std::string PackedFile::read_full(uint64_t size) {
    std::string bytes(size, '\0');
    uint64_t have = 0;
    while (const uint64_t count = have < size ? read(bytes.data() + have, size - have) : 0) have += count;
    bytes.resize(have);
    return bytes;
}

uint64_t packed_size(std::string_view text) {
    uint64_t size = 0;
    auto count = [](archive*, void* total, const void*, size_t length) {
        *static_cast<uint64_t*>(total) += length;
        return la_ssize_t(length);
    };
    std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_write_set_bytes_in_last_block(writer.get(), 1);  // no padding
    archive_entry_set_pathname(entry.get(), "text");
    archive_entry_set_size(entry.get(), la_int64_t(text.size()));
    const bool ok = archive_write_set_format_7zip(writer.get()) == ARCHIVE_OK &&
                    archive_write_set_format_option(writer.get(), "7zip", "compression", "ppmd") == ARCHIVE_OK &&
                    archive_write_open(writer.get(), &size, nullptr, count, nullptr) == ARCHIVE_OK &&
                    archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK &&
                    archive_write_data(writer.get(), text.data(), text.size()) == la_ssize_t(text.size()) &&
                    archive_write_close(writer.get()) == ARCHIVE_OK;
    if (!ok) fail({.what = "cannot compress: " + reason_of(writer.get())});
    return size;
}

}  // namespace lithe

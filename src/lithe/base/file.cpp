#include "lithe/base/file.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "lithe/base/cgroup.h"
#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/mapping.h"
#include "lithe/base/text.h"

namespace lithe {
namespace fs = std::filesystem;

void fail_errno(const std::string& what, const std::string& path, ErrorKind otherwise) {
    int reason = errno;
    ErrorParts parts{.kind = otherwise, .what = what, .where = path, .got = std::strerror(reason)};
    if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG) {
        parts.kind = ErrorKind::resources;
        parts.hint = "free some space there, or choose another place";
    } else if (reason == ENOENT || reason == EISDIR || reason == ENOTDIR) {
        parts.kind = ErrorKind::bad_file;
    } else if (reason == ENOMEM) {
        parts.kind = ErrorKind::resources;
    }
    fail(parts);
}

// Calls `use` with one stretch of the file after another.
template <class F> static void read_through(const std::string& path, const F& use) {
    struct Descriptor {
        int number;
        ~Descriptor() { close(number); }
    };
    const int opened = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0) fail_errno("cannot open file", path, ErrorKind::bad_file);
    const Descriptor descriptor{opened};
    char buffer[1 << 16];
    for (;;) {
        const ssize_t count = read(descriptor.number, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail_errno("cannot read file", path, ErrorKind::bad_file);
        if (count == 0) return;
        use(std::string_view(buffer, size_t(count)));
    }
}

std::string read_file(const std::string& path, uint64_t limit) {
    std::string content;
    read_through(path, [&](std::string_view stretch) {
        content += stretch;
        if (content.size() > limit)
            fail_file("file is too large to be read whole (limit " + format_bytes(double(limit)) + ")", path);
    });
    return content;
}

FileWriter::FileWriter(const std::string& path, bool append) : append_(append), path_(path) {
    descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0644);
    if (descriptor_ < 0) fail_errno("cannot create file", path);
    hash_state_ = XXH3_createState();
    XXH3_64bits_reset(static_cast<XXH3_state_t*>(hash_state_));
}

FileWriter::~FileWriter() {
    if (descriptor_ >= 0) ::close(descriptor_);
    XXH3_freeState(static_cast<XXH3_state_t*>(hash_state_));
}

void FileWriter::write(const void* data, size_t size) {
    auto* bytes = static_cast<const char*>(data);
    XXH3_64bits_update(static_cast<XXH3_state_t*>(hash_state_), data, size);
    size_ += size;
    const off_t before = append_ ? lseek(descriptor_, 0, SEEK_END) : -1;
    while (size > 0) {
        ssize_t count = ::write(descriptor_, bytes, size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            const int reason = errno;
            // half a line would run into the next one
            [[maybe_unused]] const bool cut = before < 0 || ftruncate(descriptor_, before) == 0;
            errno = reason;
            fail_errno("cannot write file", path_);
        }
        bytes += count;
        size -= size_t(count);
    }
}

void FileWriter::flush_to_disk() {
    if (fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) fail_errno("cannot flush file", path_);
}

void FileWriter::close() {
    flush_to_disk();
    int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0) fail_errno("cannot close file", path_);
}

uint64_t FileWriter::hash() const { return XXH3_64bits_digest(static_cast<const XXH3_state_t*>(hash_state_)); }

void sync_folder(const std::string& path) {
    int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) fail_errno("cannot open folder", path);
    int result = fsync(descriptor);
    int reason = errno;
    close(descriptor);
    errno = reason;
    if (result != 0 && reason != EINVAL && reason != EROFS) fail_errno("cannot flush folder", path);
}

void replace_file(const std::string& path, std::string_view content) {
    std::string temporary = path + ".tmp-" + std::to_string(getpid());
    try {
        FileWriter writer(temporary);
        writer.write(content);
        writer.close();
    } catch (...) {
        unlink(temporary.c_str());
        throw;
    }
    if (rename(temporary.c_str(), path.c_str()) != 0) {
        int reason = errno;
        unlink(temporary.c_str());
        errno = reason;
        fail_errno("cannot replace file", path);
    }
    fs::path folder = fs::path(path).parent_path();
    sync_folder(folder.empty() ? "." : folder.string());
}

bool is_temporary_of(std::string_view name, std::string_view target) {
    if (!name.starts_with(target)) return false;
    name.remove_prefix(target.size());
    if (!name.starts_with(".tmp-")) return false;
    name.remove_prefix(5);
    return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

bool remove_own_files(const std::string& folder, const std::function<bool(const std::string&)>& is_ours) {
    std::error_code error;
    std::vector<fs::path> ours;
    for (const auto& entry : fs::directory_iterator(folder, error))
        if (entry.symlink_status(error).type() == fs::file_type::regular && is_ours(entry.path().filename().string()))
            ours.push_back(entry.path());
    for (const fs::path& path : ours) fs::remove(path, error);
    const bool own = fs::symlink_status(folder, error).type() == fs::file_type::directory;  // a link is the user's
    return own && fs::remove(folder, error);  // refuses one that is not empty
}

void make_folders(const std::string& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) {
        errno = error.value();
        fail_errno("cannot create folder", path);
    }
}

void check_writable(const std::string& folder) {
    std::error_code ignored;
    fs::path place = fs::absolute(folder.empty() ? "." : folder).lexically_normal();
    while (place.has_relative_path() && !fs::exists(place, ignored)) place = place.parent_path();
    const std::string probe = (place / (".lithe-probe-" + std::to_string(getpid()))).string();
    const int descriptor = open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) fail_errno("cannot write into the folder", place.string());
    close(descriptor);
    unlink(probe.c_str());
}

uint64_t hash_bytes(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t hash_file(const std::string& path) {
    // read and not mapped: pages of a mapping would count as this process's memory
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
    XXH3_64bits_reset(state.get());
    read_through(path,
                 [&](std::string_view stretch) { XXH3_64bits_update(state.get(), stretch.data(), stretch.size()); });
    return XXH3_64bits_digest(state.get());
}

static int64_t write_time(const struct stat& status) {
    return int64_t(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
    int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail_errno("cannot open file", path, ErrorKind::bad_file);
    struct stat status {};
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(descriptor);
        fail_file("not a regular file", path);
    }
    size_ = size_t(status.st_size);
    device_ = status.st_dev;
    inode_ = status.st_ino;
    written_ = write_time(status);
    if (size_ > 0) {
        void* address = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (address == MAP_FAILED) {
            close(descriptor);
            fail_errno("cannot map file", path);
        }
        data_ = static_cast<const std::byte*>(address);
        registered_ = register_mapping(data_, size_, path_.c_str());
    }
    close(descriptor);
}

void MappedFile::release(std::span<const std::byte> part) const {
    const auto page = uintptr_t(sysconf(_SC_PAGESIZE)), begin = uintptr_t(part.data()), end = begin + part.size();
    const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
    forget_mapping(registered_);
    if (data_) munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::check_unchanged() const {
    struct stat status {};
    // a file that was renamed or replaced by another stays mapped as it was
    if (stat(path_.c_str(), &status) != 0 || status.st_dev != device_ || status.st_ino != inode_) return;
    if (size_t(status.st_size) < size_)
        fail({.kind = ErrorKind::bad_file,
              .what = "the file was cut off while it was read",
              .where = path_,
              .expected = std::to_string(size_) + " bytes",
              .got = std::to_string(status.st_size),
              .hint = kRestoreFile});
    if (write_time(status) != written_ && !told_.exchange(true))
        log_warning(path_ + " was written to while it is read; what comes from there is not what was there before");
}

FileLock::FileLock(const std::string& path, const std::string& owner_hint, IfHeld if_held,
                   const std::stop_token& stop) {
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail_errno("cannot create lock file", path);
    try {
        take(path, owner_hint, if_held, stop);
    } catch (...) {
        close(descriptor_);
        throw;
    }
}

void FileLock::take(const std::string& path, const std::string& owner_hint, IfHeld if_held,
                    const std::stop_token& stop) {
    for (bool told = false; flock(descriptor_, LOCK_EX | LOCK_NB) != 0;) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK)
            fail({.kind = ErrorKind::failed,
                  .what = "cannot lock the file",
                  .where = path,
                  .got = std::strerror(errno),
                  .hint = "some network file systems have no locks; choose a place on another one"});
        if (if_held == IfHeld::fail)
            fail({.kind = ErrorKind::failed, .what = "another process uses it", .where = path, .hint = owner_hint});
        if (!told) log_info("waiting    " + owner_hint);
        told = true;
        if (stop.stop_requested())
            fail({.kind = ErrorKind::stopped, .what = "stopped while waiting for another process", .where = path});
        usleep(50'000);
    }
}

FileLock::~FileLock() {
    if (descriptor_ >= 0) close(descriptor_);  // also releases the lock
}

uint64_t free_bytes(const std::string& folder) {
    struct statvfs status {};
    if (statvfs(folder.c_str(), &status) != 0) fail_errno("cannot ask for free space", folder);
    return uint64_t(status.f_bavail) * status.f_frsize;
}

uint64_t available_memory() {
    uint64_t available = UINT64_MAX;
    std::ifstream info("/proc/meminfo");
    for (std::string key; info >> key;) {
        uint64_t kib = 0;
        info >> kib;
        if (key == "MemAvailable:") available = kib * 1024;
        info.ignore(100, '\n');
    }
    available = std::min(available, read_cgroup_limits().memory.value_or(available));
    struct rlimit space {};
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        available = std::min<uint64_t>(available, space.rlim_cur);
    return available;
}

void release_free_memory() {
    // of tcmalloc, where the program is linked with it (ARCHITECTURE.md, Libraries)
    static const auto release = reinterpret_cast<void (*)()>(dlsym(RTLD_DEFAULT, "MallocExtension_ReleaseFreeMemory"));
    if (release) release();
    else malloc_trim(0);
}

uint64_t peak_memory() {
    struct rusage usage {};
    getrusage(RUSAGE_SELF, &usage);
    return uint64_t(usage.ru_maxrss) * 1024;
}

}  // namespace lithe

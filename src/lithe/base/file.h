// Files: whole-file reads with limits, durable writes, atomic replacement, memory mapping, locks. Every failure is an
// Error that names the path and the system's reason; ENOSPC and EDQUOT are of the kind `resources`, a missing or
// unreadable input `bad_file`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "lithe/base/error.h"

namespace lithe {

// Throws an Error for the current errno; `otherwise` is the kind of what is neither a full disk nor a missing file.
[[noreturn]] void fail_errno(const std::string& what, const std::string& path, ErrorKind otherwise = ErrorKind::failed);

std::string read_file(const std::string& path, uint64_t limit = uint64_t(1) << 32);

// Writes to a new file; close() is fsync + close and throws; the destructor only closes. What is appended is appended
// whole: where a write fails, the file is cut back to what it was.
class FileWriter {
 public:
    explicit FileWriter(const std::string& path, bool append = false);
    ~FileWriter();
    FileWriter(const FileWriter&) = delete;
    FileWriter& operator=(const FileWriter&) = delete;
    void write(const void* data, size_t size);
    void write(std::string_view text) { write(text.data(), text.size()); }
    void close();
    void flush_to_disk();
    uint64_t hash() const;  // XXH3-64 of what was written
    uint64_t size() const { return size_; }

 private:
    int descriptor_ = -1;
    bool append_ = false;
    std::string path_;
    uint64_t size_ = 0;
    void* hash_state_ = nullptr;
};

// Temporary file beside the target, fsync, rename, fsync of the folder: the target is either old or new, never half.
void replace_file(const std::string& path, std::string_view content);
// Whether a plain name is that of replace_file's temporary file for `target`: "target.tmp-" and a process number.
bool is_temporary_of(std::string_view name, std::string_view target);
// Removes the regular files of a folder whose plain names `is_ours` accepts, then the folder if that leaves it empty.
// Everything else stays. Returns whether the folder is gone.
bool remove_own_files(const std::string& folder, const std::function<bool(const std::string&)>& is_ours);
void sync_folder(const std::string& path);
void make_folders(const std::string& path);
// Throws unless files can be made in this folder or, where there is none yet, in the nearest one above it.
void check_writable(const std::string& folder);
uint64_t hash_file(const std::string& path);
uint64_t hash_bytes(std::string_view bytes);  // XXH3-64

// A read-only memory map of a whole file. An empty file maps to an empty span.
class MappedFile {
 public:
    explicit MappedFile(const std::string& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    std::span<const std::byte> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }
    // The whole pages of this part need no memory any more; reading them again brings them back.
    void release(std::span<const std::byte> part) const;
    // Throws bad_file when the file has become shorter than what is mapped (what was there would read as zeros, or end
    // the process: base/mapping.h). Warns once when it was written to.
    void check_unchanged() const;

 private:
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
    // when it was mapped: which file it was, and its last write in nanoseconds
    uint64_t device_ = 0, inode_ = 0;
    int64_t written_ = 0;
    mutable std::atomic<bool> told_ = false;
    int registered_ = -1;
    std::string path_;
};

// Holds an exclusive lock (flock) on a file for as long as it lives. When another process holds it: throws with
// `owner_hint`, or says the hint once and waits (throws `stopped` when a stop is asked for). A file system without
// locks, and any other reason, is an error that names it.
enum class IfHeld { fail, wait };
class FileLock {
 public:
    FileLock(const std::string& path, const std::string& owner_hint, IfHeld if_held = IfHeld::fail,
             const std::stop_token& stop = {});
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

 private:
    void take(const std::string& path, const std::string& owner_hint, IfHeld if_held, const std::stop_token& stop);
    int descriptor_ = -1;
};

uint64_t free_bytes(const std::string& folder);
uint64_t available_memory();  // bytes: the smaller of MemAvailable and what control groups leave
// Gives back to the system what the allocator keeps of freed memory: after work whose sizes do not come again.
void release_free_memory();
uint64_t peak_memory();  // bytes: this process's maximum resident set

}  // namespace lithe

#include "lithe/train/progress_record.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "lithe/base/file.h"
#include "lithe/base/log.h"

namespace lithe {
namespace fs = std::filesystem;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

void ProgressRecord::start(const std::string& path) {
    path_ = path;
    seconds_.clear();
    written_ = 0;
    std::error_code ignored;
    fs::remove(path, ignored);
}

void ProgressRecord::go_on(const std::string& path, int64_t step, double seconds) {
    path_ = path;
    seconds_.clear();
    if (fs::exists(path)) {
        const std::string bytes = read_file(path);
        seconds_.resize(bytes.size() / sizeof(double));
        std::memcpy(seconds_.data(), bytes.data(), seconds_.size() * sizeof(double));
    }
    const auto now = size_t(step);
    const bool other = now < seconds_.size() && std::isfinite(seconds_[now]) && seconds_[now] != seconds;
    if (other || seconds_.size() < now)
        log_warning(path + (other ? " is not the record of this run" : " lacks the steps before this one") +
                    ": steps that were trained before may have other rates now");
    if (other) start(path);
    written_ = seconds_.size();
}

double ProgressRecord::at(int64_t step, double seconds) {
    const auto now = size_t(step);
    if (now >= seconds_.size()) seconds_.resize(now + 1, kUnknown);
    else if (std::isfinite(seconds_[now])) return seconds_[now];
    seconds_[now] = seconds;
    written_ = std::min(written_, now);
    write();
    return seconds;
}

void ProgressRecord::write() {
    const int descriptor = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) return;
    const auto* bytes = reinterpret_cast<const char*>(seconds_.data());
    size_t begin = written_ * sizeof(double);
    const size_t end = seconds_.size() * sizeof(double);
    while (begin < end) {
        const ssize_t count = pwrite(descriptor, bytes + begin, end - begin, off_t(begin));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;  // a full disk: metrics() tells
        begin += size_t(count);
    }
    written_ = begin / sizeof(double);
    close(descriptor);
}

}  // namespace lithe

#include "lithe/data/download.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/base/wording.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

uint64_t size_or_zero(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 ? uint64_t(status.st_size) : 0;
}

[[noreturn]] void fail_stopped() {
    fail({.kind = ErrorKind::stopped,
          .what = "stopped while downloading; the part that is there is used when started again"});
}

// One try of one URL: appends to the part file.
class Transfer {
 public:
    Transfer(const RemoteFile& file, const std::string& url, const std::string& part, const DownloadOptions& options)
        : file_(file),
          url_(url),
          part_(part),
          options_(options),
          begin_(size_or_zero(part)) {}

    // Empty when the whole file has come; else why not.
    std::string run() {
        out_.reset(std::fopen(part_.c_str(), "abe"));
        if (!out_) fail_errno("cannot write the download", part_);
        std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
        curl_ = curl.get();
        char message[CURL_ERROR_SIZE] = {};
        set(CURLOPT_ERRORBUFFER, message);
        set_options();
        const CURLcode code = curl_easy_perform(curl_);
        long status = 0;
        curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
        const bool written = std::fflush(out_.get()) == 0 && write_error_ == 0;
        const int reason = write_error_ ? write_error_ : errno;
        out_.reset();
        log_progress("");
        if (options_.stop.stop_requested()) fail_stopped();
        if (!written) {
            errno = reason;
            fail_errno("cannot write the download", part_);
        }
        return judge(code, status, message);
    }
    // Whether another try of this URL could help.
    bool hopeless() const { return hopeless_; }

 private:
    struct Close {
        void operator()(FILE* file) const { std::fclose(file); }
    };
    template <class T> void set(CURLoption option, T value) { curl_easy_setopt(curl_, option, value); }

    void set_options() {
        set(CURLOPT_URL, url_.c_str());
        set(CURLOPT_PROTOCOLS_STR, "http,https");
        set(CURLOPT_REDIR_PROTOCOLS_STR, allowed_redirects(url_));
        set(CURLOPT_FOLLOWLOCATION, 1L);
        set(CURLOPT_MAXREDIRS, 10L);
        set(CURLOPT_FAILONERROR, 1L);
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_USERAGENT, "lithe");
        set(CURLOPT_CONNECTTIMEOUT_MS, long(std::max(1.0, options_.stall_seconds) * 1000));
        set(CURLOPT_LOW_SPEED_LIMIT, 1L);
        set(CURLOPT_LOW_SPEED_TIME, std::max(1L, long(std::ceil(options_.stall_seconds))));
        if (begin_ > 0) set(CURLOPT_RESUME_FROM_LARGE, curl_off_t(begin_));
        set(CURLOPT_WRITEFUNCTION, write);
        set(CURLOPT_WRITEDATA, this);
        set(CURLOPT_XFERINFOFUNCTION, progress);
        set(CURLOPT_XFERINFODATA, this);
        set(CURLOPT_NOPROGRESS, 0L);
    }

    std::string judge(CURLcode code, long status, const char* message) {
        const uint64_t have = size_or_zero(part_);
        if (too_long_) {
            hopeless_ = true;
            fs::remove(part_);
            return file_.size != 0
                       ? "it is longer than the expected " + std::to_string(file_.size) + " bytes"
                       : "it is longer than " + std::to_string(file_.limit) + " bytes, more than it can have";
        }
        if (status == 416) {  // nothing behind what is there: complete, or not the same file
            hopeless_ = file_.size != 0 && have != file_.size;
            return file_.size == 0 || have == file_.size ? "" : "the server has fewer bytes than are there already";
        }
        if (code == CURLE_HTTP_RETURNED_ERROR) {
            hopeless_ = status >= 400 && status < 500 && status != 408 && status != 429;
            return "the server answered " + std::to_string(status);
        }
        if (code == CURLE_OPERATION_TIMEDOUT)
            return "no byte came for " + format_seconds(options_.stall_seconds) + " after " +
                   format_bytes(double(have));
        if (code == CURLE_RANGE_ERROR) {  // it would send everything: start anew
            fs::remove(part_);
            return "the server does not send the rest of a file";
        }
        if (code == CURLE_PARTIAL_FILE) return "the transfer was cut off after " + format_bytes(double(have));
        if (code != CURLE_OK) {
            hopeless_ =
                code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_TOO_MANY_REDIRECTS;
            return printable(*message ? message : curl_easy_strerror(code));
        }
        if (file_.size != 0 && have < file_.size) {
            hopeless_ = true;  // the server says that this is all
            return "it ends after " + std::to_string(have) + " of the expected " + std::to_string(file_.size) +
                   " bytes";
        }
        return "";
    }

    static size_t write(char* data, size_t, size_t size, void* self) {
        return static_cast<Transfer*>(self)->take(data, size);
    }
    size_t take(const char* data, size_t size) {
        received_ += size;
        const uint64_t most = file_.size != 0 ? file_.size : file_.limit;
        if (most != 0 && begin_ + received_ > most) {
            too_long_ = true;
            return 0;
        }
        errno = 0;
        const size_t count = std::fwrite(data, 1, size, out_.get());
        if (count != size) write_error_ = errno ? errno : EIO;
        return count;
    }
    static int progress(void* self, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
        static_cast<Transfer*>(self)->show(double(total), double(now));
        return static_cast<Transfer*>(self)->options_.stop.stop_requested();
    }
    void show(double total, double now) {
        if (!options_.progress || timer_.seconds() < shown_ + 0.5) return;
        shown_ = timer_.seconds();
        const double rate = now / shown_;
        std::string text = "downloading " + file_.name + " " + format_bytes(double(begin_) + now);
        if (total > 0) text += " of " + format_bytes(double(begin_) + total);
        text += ", " + format_bytes(rate) + "/s";
        if (total > now && rate > 0) text += ", " + format_seconds((total - now) / rate) + " left";
        log_progress(text);
    }

    const RemoteFile& file_;
    std::string url_, part_;
    const DownloadOptions& options_;
    uint64_t begin_, received_ = 0;
    CURL* curl_ = nullptr;
    std::unique_ptr<FILE, Close> out_;
    int write_error_ = 0;
    bool too_long_ = false, hopeless_ = false;
    Timer timer_;
    double shown_ = 0;
};

void pause(double seconds, const std::stop_token& stop) {
    Timer timer;
    while (timer.seconds() < seconds) {
        if (stop.stop_requested()) fail_stopped();
        usleep(20'000);
    }
}

// Empty when the file is the expected one.
std::string difference(const RemoteFile& file, const std::string& path) {
    const uint64_t size = size_or_zero(path);
    if (file.size != 0 && size != file.size)
        return "it has " + std::to_string(size) + " bytes, expected " + std::to_string(file.size);
    if (file.digest.empty()) return "";
    const std::string got = digest_of(path, file.digest);
    return got == file.digest ? "" : "its checksum is " + got + ", expected " + file.digest;
}

// Empty when the file is there now; else why this URL does not give it.
std::string fetch(const RemoteFile& file, const std::string& url, const std::string& path,
                  const DownloadOptions& options) {
    const std::string part = path + ".part";
    std::string reason;
    for (int attempt = 0; attempt < options.tries; ++attempt) {
        if (attempt > 0) {
            log_warning(url + ": " + reason + "; trying again");
            pause(options.pause_seconds * std::pow(2, std::min(attempt - 1, 5)), options.stop);
        }
        Transfer transfer(file, url, part, options);
        reason = transfer.run();
        if (reason.empty()) {
            reason = difference(file, part);
            if (reason.empty()) {
                if (rename(part.c_str(), path.c_str()) != 0) fail_errno("cannot move the download into place", path);
                return "";
            }
            fs::remove(part);  // not the file; nothing of it can be used
            return reason;
        }
        if (transfer.hopeless()) return reason;
    }
    return reason;
}

}  // namespace

Digest::Digest(const std::string& like) : name_(like.substr(0, like.find(':'))) {
    if (like.empty()) return;
    const EVP_MD* algorithm = EVP_get_digestbyname(name_.c_str());
    if (!algorithm) fail({.what = "unknown digest '" + printable(name_) + "'"});
    context_ = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context_, algorithm, nullptr);
}

Digest::~Digest() { EVP_MD_CTX_free(context_); }

void Digest::add(std::string_view bytes) {
    if (context_) EVP_DigestUpdate(context_, bytes.data(), bytes.size());
}

std::string Digest::value() {
    if (!context_) return "";
    std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_, value.data(), &size);
    std::string text = name_ + ":";
    char hex[3];
    for (unsigned i = 0; i < size; ++i) {
        std::snprintf(hex, sizeof hex, "%02x", value[i]);
        text += hex;
    }
    return text;
}

std::string digest_of(const std::string& path, const std::string& like) {
    Digest digest(like);
    std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
    if (!file) fail_errno("cannot open file", path, ErrorKind::bad_file);
    std::string buffer(1 << 20, '\0');
    while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get()))
        digest.add({buffer.data(), count});
    return digest.value();
}

const char* allowed_redirects(const std::string& url) {
    const bool safe = url.size() >= 6 && strncasecmp(url.c_str(), "https:", 6) == 0;
    return safe ? "https" : "http,https";
}

std::string download(const RemoteFile& file, const DownloadOptions& options) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ready != CURLE_OK) fail({.what = "the download library does not start"});
    make_folders(options.folder);
    const std::string path = options.folder + "/" + file.name;
    if (fs::exists(path)) {
        const std::string reason = difference(file, path);
        if (reason.empty()) {
            fs::remove(path + ".part");
            return path;
        }
        fail_file("the file is not the expected one: " + reason, path, "remove it, and it is downloaded again");
    }
    std::vector<std::string> reasons;
    for (const std::string& url : file.urls) {
        const std::string reason = fetch(file, url, path, options);
        if (reason.empty()) return path;
        reasons.push_back(url + ": " + reason);
    }
    fail_file("cannot download " + file.name + ":\n  - " + join(reasons, "\n  - "), file.name,
              "fetch it on a machine with internet, put it at " + fs::absolute(path).lexically_normal().string() +
                  ", and run the same command again; or name another source with " + option("mirror", "URL"));
}

}  // namespace lithe

// Downloads over HTTP(S) that survive what networks do: a cut-off or stalled transfer goes on where it stopped, a
// mirror that fails gives way to the next, a file that is not the expected one is never used.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

struct evp_md_ctx_st;  // of OpenSSL

namespace lithe {

struct RemoteFile {
    std::string name;               // in the download folder
    std::vector<std::string> urls;  // tried in order
    uint64_t size = 0;              // bytes; 0: not known
    std::string digest;             // "sha256:…", "sha1:…" or "md5:…"; empty: not known
    uint64_t limit = 0;             // bytes that are taken at most where the size is not known; 0: any
};

struct DownloadOptions {
    std::string folder;         // where the file and its unfinished part are kept
    double stall_seconds = 30;  // without a byte
    int tries = 5;              // for each URL; between them a growing pause
    double pause_seconds = 1;
    bool progress = true;
    std::stop_token stop = {};
};

// Returns the path of the file, complete and checked; one that is there already is only checked. Throws bad_file when
// no URL gives it (the message says where to put it by hand), resources when the disk is full, stopped when a stop is
// asked for.
std::string download(const RemoteFile& file, const DownloadOptions& options);

// To what a redirect of this URL may lead: a URL that is safe from changes on the way never to one that is not.
const char* allowed_redirects(const std::string& url);

// A digest in pieces, by the algorithm that `like` names ("md5:…"); of nothing and always empty for an empty `like`.
class Digest {
 public:
    explicit Digest(const std::string& like);
    ~Digest();
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;
    void add(std::string_view bytes);
    std::string value();  // "md5:…"; once

 private:
    std::string name_;
    evp_md_ctx_st* context_ = nullptr;
};

// "sha256:…" of a file, by the algorithm that `like` names.
std::string digest_of(const std::string& path, const std::string& like = "sha256:");

}  // namespace lithe

#include "lithe/data/input.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <tuple>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

bool parse_shares(std::string_view text, std::array<double, 3>& shares) {
    const char* at = text.data();
    const char* end = at + text.size();
    for (size_t i = 0; i < 3; ++i) {
        auto [next, error] = std::from_chars(at, end, shares[i]);
        if (error != std::errc() || !(shares[i] >= 0) || shares[i] > 1e6) return false;
        if (i == 2 ? next != end : next == end || *next != '/') return false;
        at = next + 1;
    }
    return shares[0] + shares[1] + shares[2] > 0;
}

void require_data(const std::string& path, const std::string& key) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0) {
        if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) return;
        fail_file("neither a file nor a folder: a device or pipe cannot be read twice", path,
                  "pipe it into: lithe data prepare - --out DIR");
    }
    const int reason = errno;
    fail(
        {.code = ExitCode::bad_file,
         .what = "cannot find the data: " + std::string(std::strerror(reason)),
         .where = path,
         .hint = "set " + key +
                 " to a text file, a folder, a compressed file, an archive or a token set (relative paths start at the "
                 "current folder)"});
}

// By file: inside a split files stand in the order of a hash of their paths, so that any stretch of it is a fair
// sample.
std::vector<Input> deal_files(const std::string& folder, const std::vector<std::string>& files) {
    std::vector<Input> inputs;
    for (size_t i = 0; i < files.size(); ++i)
        inputs.push_back({files[i],
                          i % 20 == 9    ? 1
                          : i % 20 == 19 ? 2
                                         : 0,
                          hash_bytes(fs::path(files[i]).lexically_relative(folder).string())});
    std::stable_sort(inputs.begin(), inputs.end(), [](const Input& a, const Input& b) {
        return std::tie(a.split, a.order) < std::tie(b.split, b.order);
    });
    return inputs;
}

// "wiki.train.tokens" and "train.txt" say which split they are; -1: a name that does not.
int split_in_name(const std::string& path) {
    std::string name = fs::path(path).filename().string();
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '-' || c == '_'; }, '.');
    std::istringstream parts(name);
    for (std::string part; std::getline(parts, part, '.');) {
        if (part == "train") return 0;
        if (part == "valid" || part == "validation" || part == "val" || part == "dev") return 1;
        if (part == "test") return 2;
    }
    return -1;
}

// A folder whose every file names its split, as data get, WikiText and PTB have them; empty for any other.
std::vector<Input> named_splits(const std::vector<std::string>& files) {
    std::vector<Input> inputs;
    bool seen[3] = {};
    for (const std::string& file : files) {
        const int split = split_in_name(file);
        if (split < 0) return {};
        seen[split] = true;
        inputs.push_back({file, split});
    }
    if (!seen[0] || !seen[1]) return {};
    std::stable_sort(inputs.begin(), inputs.end(), [](const Input& a, const Input& b) { return a.split < b.split; });
    return inputs;
}

}  // namespace

SplitRule parse_split(const std::string& split) {
    SplitRule rule;
    if (split == "files") {
        rule.by = SplitBy::files;
        return rule;
    }
    std::string_view shares = split;
    if (split == "documents" || split.rfind("documents ", 0) == 0) {
        rule.by = SplitBy::documents;
        if (split == "documents") return rule;
        shares.remove_prefix(10);
    }
    if (!parse_shares(shares, rule.shares))
        fail({.code = ExitCode::usage,
              .what = "data.split",
              .where = "data",
              .expected = "three shares such as \"90/5/5\", \"documents 90/5/5\", or \"files\" for a folder",
              .got = "\"" + printable(split) + "\""});
    return rule;
}

std::array<uint64_t, 2> split_borders(const std::array<double, 3>& shares, uint64_t bytes) {
    const double total = shares[0] + shares[1] + shares[2];
    auto border = [&](double sum) { return uint64_t(std::floor(double(bytes) * (sum / total) + 1e-9)); };
    return {border(shares[0]), border(shares[0] + shares[1])};
}

bool passes(const std::string& name, const std::vector<std::string>& include, const std::vector<std::string>& exclude) {
    auto matches = [&](const std::vector<std::string>& patterns) {
        return std::any_of(patterns.begin(), patterns.end(),
                           [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
    };
    return (include.empty() || matches(include)) && !matches(exclude);
}

std::vector<std::string> list_files(const std::string& folder, const std::vector<std::string>& include,
                                    const std::vector<std::string>& exclude) {
    std::vector<std::string> files;
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
         it != end; it.increment(error)) {
        if (error) fail_file("cannot list the folder: " + error.message(), folder);
        if (it->is_symlink() || !it->is_regular_file() || it->path().filename() == kSourceRecord) continue;
        if (passes(fs::path(it->path()).lexically_relative(folder).string(), include, exclude))
            files.push_back(it->path().string());
    }
    if (error) fail_file("cannot list the folder: " + error.message(), folder);
    std::sort(files.begin(), files.end());
    return files;
}

uint64_t file_size(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) fail_errno("cannot find data", path, ExitCode::bad_file);
    return uint64_t(status.st_size);
}

std::vector<Input> list_inputs(const DataConfig& config) {
    std::vector<Input> inputs;
    if (config.path.empty()) {
        const std::string* paths[3] = {&config.train, &config.valid, &config.test};
        for (int i = 0; i < 3; ++i) {
            if (paths[i]->empty()) continue;
            require_data(*paths[i], std::string("data.") + kSplitNames[i]);
            if (!fs::is_directory(*paths[i])) inputs.push_back({*paths[i], i});
            else
                for (auto& file : list_files(*paths[i], config.include, config.exclude)) inputs.push_back({file, i});
        }
        return inputs;
    }
    require_data(config.path, "data.path");
    if (!fs::is_directory(config.path)) return {{config.path, -1}};
    auto files = list_files(config.path, config.include, config.exclude);
    if (files.empty())
        fail_file("the folder holds no files that match", config.path, "check data.include and data.exclude");
    const SplitBy by = parse_split(config.split).by;
    if (by == SplitBy::files) return deal_files(config.path, files);
    if (by == SplitBy::bytes) inputs = named_splits(files);
    if (!inputs.empty()) return inputs;
    for (const std::string& file : files) inputs.push_back({file});
    return inputs;
}

}  // namespace lithe

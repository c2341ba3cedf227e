#include "lithe/data/input.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <tuple>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/list_files.h"
#include "lithe/data/own_folders.h"
#include "lithe/data/parallel_text.h"

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
        if (S_ISDIR(status.st_mode)) refuse_own_folder(path);
        if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) return;
        fail_file("neither a file nor a folder: a device or pipe cannot be read twice", path,
                  "pipe it into: " + command("data prepare -", {option("out", "DIR")}));
    }
    const int reason = errno;
    fail(
        {.kind = ErrorKind::bad_file,
         .what = "cannot find the data: " + std::string(std::strerror(reason)),
         .where = path,
         .hint = "set " + key +
                 " to a text file, a folder, a compressed file, an archive or a token set (relative paths start at the "
                 "current folder)"});
}

constexpr size_t kDealt = 20;  // of so many files, one goes to valid and one to test

// By file: inside a split files stand in the order of a hash of their names, so that any stretch of it is a fair
// sample.
std::vector<Input> deal_files(const std::string& folder, const std::vector<FoundFile>& files) {
    if (files.size() < kDealt / 2)
        fail({.kind = ErrorKind::usage,
              .what = "data.split = \"files\" would leave no validation text",
              .where = folder,
              .expected = std::to_string(kDealt) + " files or more, of which number 10 goes to valid and 20 to test",
              .got = std::to_string(files.size()) + " files",
              .hint = "data.split = \"90/5/5\" divides any text by its bytes, \"documents 90/5/5\" by a hash of each "
                      "document"});
    std::vector<Input> inputs;
    for (size_t i = 0; i < files.size(); ++i)
        inputs.push_back({files[i].path,
                          i % kDealt == kDealt / 2 - 1 ? 1
                          : i % kDealt == kDealt - 1   ? 2
                                                       : 0,
                          hash_bytes(files[i].name)});
    std::stable_sort(inputs.begin(), inputs.end(), [](const Input& a, const Input& b) {
        return std::tie(a.split, a.order) < std::tie(b.split, b.order);
    });
    return inputs;
}

// Divides the listing if names of files or folders say the splits.
void take_named(const std::vector<FoundFile>& files, Listing& listing) {
    std::vector<NamedFile> named;
    for (const FoundFile& file : files) named.push_back({file.name, file.size});
    const NamedBy by = splits_in_names(named);
    listing.names_passed_over = names_passed_over(named);
    if (by == NamedBy::nothing) return;
    for (const FoundFile& file : files)
        if (const int split = split_in_name(file.name, by); split >= 0) listing.inputs.push_back({file.path, split});
        else listing.left_out.add(file.name, kUnnamed);
    std::stable_sort(listing.inputs.begin(), listing.inputs.end(),
                     [](const Input& a, const Input& b) { return a.split < b.split; });
}

// The files of a folder that hold text, or something packed, which may.
std::vector<FoundFile> text_files(const std::string& folder, const DataConfig& config, Listing& listing) {
    LeftOut& left_out = listing.left_out;
    FileList list = list_files(folder, config.include, config.exclude);
    left_out.add(list.left_out);
    left_out.add(list.own);
    listing.own.add(list.own);
    if (config.format != TextFormat::text)
        std::erase_if(list.files, [&](const FoundFile& file) {
            const Content content = content_of_file(file.path);
            if (content.kind == ContentKind::binary) left_out.add(file.name, content.name);
            return content.kind == ContentKind::binary;
        });
    // the other side of pairs is found through its partner
    if (!config.parallel.empty())
        std::erase_if(list.files, [&](const FoundFile& file) { return is_partner(file.name, config.parallel); });
    if (!list.files.empty()) return std::move(list.files);
    if (left_out.empty())
        fail_file("the folder holds no files that match", folder, "check data.include and data.exclude");
    fail_file("the folder holds no text; left out: " + left_out.words(), folder,
              "check data.include and data.exclude; data.format = \"text\" takes files as they stand");
}

void require_text(const std::string& path, const DataConfig& config) {
    if (config.format == TextFormat::text) return;
    const Content content = content_of_file(path);
    if (content.kind == ContentKind::binary)
        fail({.kind = ErrorKind::bad_file,
              .what = "the file holds no text",
              .where = path,
              .expected = "text, JSON lines, CSV, or these in .gz .xz .zst .bz2, tar or zip",
              .got = content.name,
              .hint = "data.format = \"text\" takes its bytes as they stand"});
}

}  // namespace

Content content_of_file(const std::string& path) {
    struct Known {
        off_t size;
        timespec time;
        Content content;
    };
    static std::mutex mutex;
    static std::map<std::string, Known> all;  // a folder is listed several times on its way to a corpus
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return {};
    {
        std::lock_guard lock(mutex);
        const auto known = all.find(path);
        if (known != all.end() && known->second.size == status.st_size &&
            known->second.time.tv_sec == status.st_mtim.tv_sec && known->second.time.tv_nsec == status.st_mtim.tv_nsec)
            return known->second.content;
    }
    std::string head(kContentHead, '\0');
    std::ifstream file(path, std::ios::binary);
    file.read(head.data(), std::streamsize(head.size()));
    head.resize(size_t(std::max<std::streamsize>(0, file.gcount())));
    Content content = content_of(head);
    std::lock_guard lock(mutex);
    all[path] = {status.st_size, status.st_mtim, content};
    return content;
}

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
        fail({.kind = ErrorKind::usage,
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

uint64_t file_size(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) fail_errno("cannot find data", path, ErrorKind::bad_file);
    return uint64_t(status.st_size);
}

uint64_t mark_of_file(const std::string& path) {
    const Content content = content_of_file(path);
    return content.kind == ContentKind::text ? content.mark : 0;
}

static Listing inputs_by_split(const DataConfig& config) {
    Listing listing{.rule = "as named"};
    const std::string* paths[3] = {&config.train, &config.valid, &config.test};
    for (int i = 0; i < 3; ++i) {
        const std::string& path = *paths[i];
        if (path.empty()) continue;
        require_data(path, std::string("data.") + kSplitNames[i]);
        if (fs::is_directory(path)) {
            for (const FoundFile& file : text_files(path, config, listing)) listing.inputs.push_back({file.path, i});
        } else {
            require_text(path, config);
            listing.inputs.push_back({path, i, 0, true});
        }
    }
    return listing;
}

Listing find_inputs(const DataConfig& config) {
    if (config.path.empty()) return inputs_by_split(config);
    Listing listing;
    require_data(config.path, "data.path");
    if (!fs::is_directory(config.path)) {
        require_text(config.path, config);
        listing.inputs = {{config.path, -1, 0, true}};
        return listing;
    }
    const auto files = text_files(config.path, config, listing);
    const SplitBy by = parse_split(config.split).by;
    if (by == SplitBy::files) {
        listing.inputs = deal_files(config.path, files);
        listing.rule = "by files";
        return listing;
    }
    if (by == SplitBy::bytes) take_named(files, listing);
    if (!listing.inputs.empty()) listing.rule = "by names";
    else
        for (const FoundFile& file : files) listing.inputs.push_back({file.path});
    return listing;
}

std::string division_words(const std::string& rule, const std::array<uint64_t, 3>& files) {
    std::vector<std::string> parts;
    for (size_t split = 0; split < 3; ++split)
        if (files[split] > 0) {
            parts.push_back(kSplitNames[split] + (" " + std::to_string(files[split])));
            if (parts.size() == 1) parts[0] += files[split] == 1 ? " file" : " files";
        } else if (split > 0) {
            const std::string name = kSplitNames[split];
            parts.push_back((split == 1 ? "no validation text (data." : "no test text (data.") + name + " names one)");
        }
    return rule + ": " + join(parts, ", ");
}

std::string division_words(const Listing& listing, const DataConfig& config) {
    std::string text;
    if (listing.rule.empty()) {
        const bool bytes = parse_split(config.split).by == SplitBy::bytes;
        text = "by " + (bytes ? "bytes, " + config.split : config.split) + ": " +
               std::to_string(listing.inputs.size()) + (listing.inputs.size() == 1 ? " file" : " files");
    } else {
        std::array<uint64_t, 3> files{};
        for (const Input& input : listing.inputs) ++files[size_t(input.split)];
        text = division_words(listing.rule, files);
    }
    if (!listing.left_out.empty()) text += "; left out: " + listing.left_out.words();
    return listing.names_passed_over ? text + kNamesPassedOver : text;
}

}  // namespace lithe

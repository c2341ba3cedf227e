#include "lithe/data/named_paths.h"

#include <algorithm>
#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/data/corpus.h"

namespace lithe {
namespace fs = std::filesystem;

std::string absolute_path(const std::string& path) {
    if (path.empty()) return path;
    const fs::path whole = fs::absolute(path);
    // ".." behind a link is not the folder that it seems to be
    const bool plain = std::none_of(whole.begin(), whole.end(), [](const fs::path& part) { return part == ".."; });
    return (plain ? whole.lexically_normal() : whole).string();
}

void require_utf8_path(const std::string& path, const std::string& where) {
    const std::string whole = absolute_path(path);
    if (is_valid_utf8(whole)) return;
    fail({.kind = ErrorKind::usage,
          .what = "the path is not UTF-8, and the records of lithe hold no other text",
          .where = where,
          .expected = "names in UTF-8",
          .got = printable(whole),
          .hint = "rename the file or folder, or name a link to it whose path is UTF-8"});
}

Config with_absolute_paths(Config config) {
    DataConfig& data = config.data;
    for (const auto& [where, path] : {std::pair("data.path", &data.path),
                                      {"data.train", &data.train},
                                      {"data.valid", &data.valid},
                                      {"data.test", &data.test},
                                      {"train.init_from", &config.train.init_from}})
        require_utf8_path(*path, where);
    for (std::string* path : {&data.path, &data.train, &data.valid, &data.test, &config.train.init_from})
        *path = absolute_path(*path);
    std::error_code ignored;
    if (fs::exists(data.tokenizer, ignored) && data.tokenizer != "bytes" && data.tokenizer != "characters" &&
        data.tokenizer != "words") {
        require_utf8_path(data.tokenizer, "data.tokenizer");
        data.tokenizer = absolute_path(data.tokenizer);
    }
    for (std::string& entry : data.sources) {
        const std::string path = parse_source(entry).second;
        require_utf8_path(path, "data.sources");
        entry = entry.substr(0, entry.size() - path.size()) + absolute_path(path);
    }
    return config;
}

std::string data_name(const DataConfig& data) {
    if (!data.path.empty()) return data.path;
    return data.train.empty() ? join(data.sources, ", ") : data.train;
}

std::string split_file(const DataConfig& data, const std::string& split) {
    const std::string& own = split == "valid" ? data.valid : split == "test" ? data.test : data.train;
    return data.path.empty() && !own.empty() ? own : data_name(data);
}

bool certainly_other_text(const DataConfig& before, const DataConfig& now) {
    if (before.path.empty() || now.path.empty() || before.path == now.path) return false;
    std::error_code error;
    if (!fs::is_regular_file(before.path, error) || !fs::is_regular_file(now.path, error)) return false;
    return fs::file_size(before.path, error) != fs::file_size(now.path, error);
}

}  // namespace lithe

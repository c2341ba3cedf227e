#include "lithe/formats/token_set.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxIndex = 64 << 20;
constexpr const char* kSchema = "lithe.tokens/1";

[[noreturn]] void bad(const std::string& source, const std::string& what) {
    fail_file("not a valid token set: " + what, source, "make it anew with: lithe data prepare");
}

bool plain_name(const std::string& name) {
    return !name.empty() && name.find('/') == std::string::npos && name[0] != '.' &&
           name.find('\0') == std::string::npos;
}

}  // namespace

uint64_t TokenSetInfo::tokens() const {
    uint64_t sum = 0;
    for (const TokenSetSplit& split : splits) sum += split.tokens;
    return sum;
}

std::string to_json(const TokenSetInfo& info) {
    Json splits = Json::array();
    for (const TokenSetSplit& split : info.splits) {
        Json shards = Json::array();
        for (const TokenShard& shard : split.shards)
            shards.push_back({{"file", shard.file},
                              {"tokens", shard.tokens},
                              {"bytes", shard.bytes},
                              {"documents", shard.documents},
                              {"root", shard.root}});
        splits.push_back({{"name", split.name},
                          {"tokens", split.tokens},
                          {"bytes", split.bytes},
                          {"documents", split.documents},
                          {"shards", shards}});
    }
    return Json{{"schema", kSchema},
                {"vocabulary_size", info.vocabulary_size},
                {"token_bytes", info.token_bytes},
                {"tokenizer_hash", info.tokenizer_hash},
                {"identity", info.identity},
                {"source", printable(info.source)},
                {"removed", info.removed},
                {"division", info.division},
                {"labels", info.labels},
                {"parallel", info.parallel},
                {"splits", splits}}
               .dump(1, ' ', false, Json::error_handler_t::replace) +
           "\n";
}

TokenSetInfo token_set_from_json(const std::string& text, const std::string& source) {
    const Json json = try_parse_json<Json>(text).value_or(Json());
    if (!json.is_object()) bad(source, "its index is not JSON");
    TokenSetInfo info;
    try {
        if (json.at("schema") != kSchema)
            bad(source, "its schema is " + printable(json["schema"].dump()) + "; this program reads " + kSchema);
        info.vocabulary_size = whole(json.at("vocabulary_size"));
        info.token_bytes = whole(json.at("token_bytes"));
        info.tokenizer_hash = json.at("tokenizer_hash").get<std::string>();
        info.identity = json.at("identity").get<std::string>();
        info.source = json.at("source").get<std::string>();
        info.removed = json.at("removed").get<std::string>();
        if (json.contains("division")) info.division = json.at("division").get<std::string>();
        info.labels = json.at("labels").get<std::vector<std::string>>();
        info.parallel = json.at("parallel").get<bool>();
        for (const Json& each : json.at("splits")) {
            TokenSetSplit split{each.at("name").get<std::string>(),
                                whole(each.at("tokens")),
                                whole(each.at("bytes")),
                                whole(each.at("documents")),
                                {}};
            uint64_t tokens = 0;
            for (const Json& part : each.at("shards")) {
                TokenShard shard{part.at("file").get<std::string>(), whole(part.at("tokens")), whole(part.at("bytes")),
                                 whole(part.at("documents")), part.at("root").get<std::string>()};
                if (!plain_name(shard.file))
                    bad(source, "the shard name \"" + printable(shard.file) + "\" is no plain file name");
                tokens += shard.tokens;
                split.shards.push_back(std::move(shard));
            }
            if (tokens != split.tokens)
                bad(source, "the tokens of split '" + printable(split.name) + "' do not add up");
            info.splits.push_back(std::move(split));
        }
    } catch (const Json::exception& error) { bad(source, "its index lacks a field or has one of the wrong type"); }
    return info;
}

TokenSet::TokenSet(const std::string& path) : path_(path) {
    if (std::filesystem::is_directory(path)) open_folder();
    else open_file();
}

bool TokenSet::looks_like(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return false;
    if (!S_ISDIR(status.st_mode)) return TokenFile::looks_like(path);
    auto has = [&](const char* name) { return stat((path + name).c_str(), &status) == 0; };
    if (has("/tokenizer.json") && (has("/index.json") || has("/progress.json"))) return true;
    if (!has("/index.json") || status.st_size > off_t(kMaxIndex)) return false;
    return read_file(path + "/index.json", kMaxIndex).find("\"lithe.tokens/") != std::string::npos;
}

bool TokenSet::is_finished(const std::string& path) { return std::filesystem::exists(path + "/index.json"); }

std::string TokenSet::shard_name(const std::string& split, size_t number) {
    std::string digits = std::to_string(number);
    if (digits.size() < 5) digits.insert(0, 5 - digits.size(), '0');
    return split + "-" + digits + ".tokens";
}

bool TokenSet::is_own_file(const std::string& name) {
    const size_t temporary = name.rfind(".tmp-");
    const std::string target = name.substr(0, temporary);
    if (temporary != std::string::npos && !is_temporary_of(name, target)) return false;
    for (const char* own : {"tokenizer.json", "index.json", "progress.json", ".lock"})
        if (target == own) return true;
    for (const char* split : {"train", "valid", "test"}) {
        size_t number = 0;
        const std::string begin = std::string(split) + "-";
        if (target.rfind(begin, 0) != 0) continue;
        const auto [end, error] = std::from_chars(target.data() + begin.size(), target.data() + target.size(), number);
        return error == std::errc() && target == shard_name(split, number);
    }
    return false;
}

void TokenSet::open_folder() {
    const std::string index = path_ + "/index.json";
    if (!is_finished(path_) && std::filesystem::exists(path_ + "/progress.json"))
        fail_file("the token set is not finished", path_,
                  "start the same lithe data prepare again: it goes on where it was");
    info_ = token_set_from_json(read_file(index, kMaxIndex), index);
    tokenizer_json_ = read_file(path_ + "/tokenizer.json", 1 << 29);
    for (const TokenSetSplit& split : info_.splits) {
        std::vector<TokenRange> ranges;
        for (const TokenShard& shard : split.shards) {
            auto file = std::make_shared<TokenFile>(path_ + "/" + shard.file);
            if (file->info().tokenizer_hash != info_.tokenizer_hash)
                bad(file->name(), "its tokenizer has hash " + file->info().tokenizer_hash + ", the index says " +
                                      info_.tokenizer_hash);
            if (file->root() != shard.root || file->info().tokens != shard.tokens)
                bad(file->name(), "it is not the shard that the index names (root " + file->root() + " of " +
                                      std::to_string(file->info().tokens) + " tokens, expected " + shard.root + " of " +
                                      std::to_string(shard.tokens) + ")");
            if (file->info().vocabulary_size != info_.vocabulary_size)
                bad(file->name(), "its vocabulary size is not the index's");
            ranges.push_back({file, 0, shard.tokens});
        }
        ranges_.push_back(std::move(ranges));
    }
}

void TokenSet::open_file() {
    auto whole = std::make_shared<TokenFile>(path_);
    const TokenFileInfo& info = whole->info();
    tokenizer_json_ = info.tokenizer;
    info_.vocabulary_size = info.vocabulary_size;
    info_.token_bytes = info.token_bytes;
    info_.tokenizer_hash = info.tokenizer_hash;
    info_.source = info.source;
    for (const TokenSplit& split : info.splits) {
        const uint64_t tokens = split.end - split.begin;
        const auto documents = whole->documents();
        const auto count = std::lower_bound(documents.begin(), documents.end(), split.end) -
                           std::lower_bound(documents.begin(), documents.end(), split.begin);
        info_.splits.push_back({split.name, tokens, split.bytes, uint64_t(count), {}});
        ranges_.push_back({{whole, split.begin, split.end}});
    }
}

void TokenSet::verify() const {
    for (const auto& split : ranges_)
        for (const TokenRange& range : split) range.file->verify();
}

}  // namespace lithe

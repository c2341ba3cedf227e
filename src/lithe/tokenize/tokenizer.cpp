#include "lithe/tokenize/tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/tokenize/characters.h"
#include "lithe/tokenize/pipeline.h"
#include "lithe/tokenize/sentencepiece.h"
#include "lithe/tokenize/unicode.h"
#include "lithe/tokenize/words.h"

namespace lithe {
namespace {

using Json = tokenize::Json;

constexpr uint64_t kMaxFile = 256 << 20;

struct Kind {
    const char* name;
    TokenizerPtr (*make)(const Json& json, const std::string& source);
};

// The files of this program; a file without "kind" is a tokenizer.json.
const Kind kKinds[] = {
    {"bytes", tokenize::read_bytes},
    {"characters", tokenize::read_characters},
    {"words", tokenize::read_words},
    {"sentencepiece", tokenize::read_sentencepiece},
};

}  // namespace

std::string Tokenizer::hash() const { return to_hex(hash_bytes(to_json())); }

std::vector<int64_t> Tokenizer::encode(std::string_view text, SpecialText special) const {
    std::vector<int32_t> ids;
    encode(text, ids, special);
    return {ids.begin(), ids.end()};
}

std::string Tokenizer::decode(const std::vector<int64_t>& ids) const {
    std::vector<int32_t> narrow(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) narrow[i] = int32_t(std::min<int64_t>(ids[i], INT32_MAX));
    return decode(std::span<const int32_t>(narrow));
}

void Tokenizer::check_id(int32_t id) const {
    if (id < 0 || id >= vocabulary_size())
        fail_file(
            "token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocabulary_size()),
            "tokenizer");
}

TokenizerPtr tokenizer_from_json(std::string_view text, const std::string& source) {
    const Json json = parse_json<Json>(text, source);
    if (!json.is_object()) fail_file("not a tokenizer: no JSON object", source);
    if (!json.contains("kind")) return tokenize::read_pipeline(json, source);
    std::vector<std::string> names;
    for (const Kind& kind : kKinds) {
        if (json["kind"] == kind.name) return kind.make(json, source);
        names.push_back(kind.name);
    }
    fail_file("a tokenizer of kind " + printable(json["kind"].dump()) + "; known are " + join(names, ", ") +
                  " and Hugging Face's tokenizer.json",
              source);
}

TokenizerPtr tokenizer_from_file(const std::string& path) {
    const std::string content = read_file(path, kMaxFile);
    const size_t first = content.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && content[first] == '{') return tokenizer_from_json(content, path);
    if (!content.empty() && content[0] == '\n') return tokenize::sentencepiece_from_model(content, path);
    fail_file("neither a tokenizer.json nor a SentencePiece model", path);
}

std::optional<int64_t> find_token(const Tokenizer& tokenizer, const std::string& text) {
    try {
        const std::vector<int64_t> ids = tokenizer.encode(text, SpecialText::parsed);
        if (ids.size() == 1 && tokenizer.decode(ids) == text) return ids[0];
    } catch (const Error&) {
        // a text that the vocabulary cannot express is no token of it
    }
    return std::nullopt;
}

bool expresses(const Tokenizer& tokenizer, std::string_view text) {
    try {
        const auto ids = tokenizer.encode(text);
        const auto unknown = tokenizer.unknown();  // which some texts spell
        return !ids.empty() && (!unknown || std::find(ids.begin(), ids.end(), *unknown) == ids.end()) &&
               tokenizer.decode(ids) == text;
    } catch (const Error&) { return false; }
}

std::string neutral_prompt(const Tokenizer& tokenizer) {
    for (const char* text : {"\n", " "})
        if (expresses(tokenizer, text)) return text;
    for (int64_t id = 0; id < tokenizer.vocabulary_size(); ++id)
        if (const std::string text = tokenizer.decode({id}); expresses(tokenizer, text)) return text;
    fail_file("no token of the vocabulary stands for a text", "tokenizer");
}

// What a model's objective added to the tokenizer's ids has no text.
static bool has_text(const Tokenizer& tokenizer, int64_t id) { return id < tokenizer.vocabulary_size(); }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, const std::vector<int64_t>& prompt) : tokenizer_(tokenizer) {
    for (const int64_t id : prompt)
        if (has_text(tokenizer, id)) ids_.push_back(int32_t(id));
    told_ = ids_.size();
}

std::string continuation(const Tokenizer& tokenizer, const std::vector<int64_t>& prompt,
                         const std::vector<int64_t>& tokens) {
    StreamDecoder decoder(tokenizer, prompt);
    std::string text;
    for (int64_t token : tokens) text += decoder.next(token);
    return text + decoder.rest();
}

std::string StreamDecoder::next(int64_t id) {
    if (!has_text(tokenizer_, id)) return "";
    ids_.push_back(int32_t(id));
    return take(false);
}

std::string StreamDecoder::rest() { return take(true); }

std::string StreamDecoder::take(bool all) {
    const std::span<const int32_t> ids(ids_);
    const std::string before = tokenizer_.decode(ids.subspan(context_, told_ - context_));
    const std::string now = tokenizer_.decode(ids.subspan(context_));
    if (now.size() <= before.size() || !now.starts_with(before)) return "";
    // at most four tokens are held back for a character that is not whole
    if (!all && ids_.size() - told_ < 4 && tokenize::complete_prefix(now) != now.size()) return "";
    context_ = told_;
    told_ = ids_.size();
    return now.substr(before.size());
}

}  // namespace lithe

#include "lithe/tokenize/added_tokens.h"

#include <algorithm>
#include <map>

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

// The start of the code point that ends at `end` > 0.
size_t before(std::string_view text, size_t end) {
    for (size_t length = 1; length <= 4 && length <= end; ++length)
        if (decode_at(text, end - length).length == length) return end - length;
    return end - 1;
}

bool word_at(std::string_view text, size_t at) { return at < text.size() && is_word(decode_at(text, at).value); }
bool word_before(std::string_view text, size_t end) {
    return end > 0 && is_word(decode_at(text, before(text, end)).value);
}

}  // namespace

std::vector<AddedToken> read_added_tokens(const Json& list, const std::string& source) {
    if (!list.is_array()) fail_file("\"added_tokens\" is no list", source);
    std::vector<AddedToken> tokens;
    std::map<std::string, int32_t> ids;
    for (const Json& json : list) {
        AddedToken token;
        const auto id = field<int64_t>(json, "id", -1, source);
        token.content = field<std::string>(json, "content", "", source);
        if (id < 0 || id >= 1 << 24)
            fail_file("the added token \"" + printable(token.content) + "\" has id " + std::to_string(id), source);
        token.id = int32_t(id);
        if (token.content.empty())
            fail_file("the added token with id " + std::to_string(id) + " has no content", source,
                      "give it its text in \"added_tokens\", or remove it there");
        if (const auto [known, added] = ids.emplace(token.content, token.id); !added && known->second != token.id)
            fail({.kind = ErrorKind::bad_file,
                  .what = "an added token stands twice, with two ids",
                  .where = source,
                  .expected = "one id for \"" + printable(token.content) + "\"",
                  .got = std::to_string(known->second) + " and " + std::to_string(token.id),
                  .hint = "remove one of them from \"added_tokens\""});
        token.single_word = field(json, "single_word", false, source);
        token.strip_left = field(json, "lstrip", false, source);
        token.strip_right = field(json, "rstrip", false, source);
        token.special = field(json, "special", false, source);
        token.normalized = field(json, "normalized", !token.special, source);
        tokens.push_back(std::move(token));
    }
    return tokens;
}

void AddedTokenMatcher::add(AddedToken token) {
    if (token.content.empty()) return;
    tokens_.push_back(std::move(token));
    std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
        const auto x = static_cast<unsigned char>(a.content[0]), y = static_cast<unsigned char>(b.content[0]);
        return x != y ? x < y : a.content.size() > b.content.size();
    });
    range_.fill({0, 0});
    for (size_t i = 0; i < tokens_.size(); ++i) {
        auto& [begin, end] = range_[static_cast<unsigned char>(tokens_[i].content[0])];
        if (end == 0) begin = i;
        end = i + 1;
    }
}

bool AddedTokenMatcher::next(std::string_view text, size_t at, size_t done, Match& match) const {
    if (tokens_.empty()) return false;
    for (; at < text.size(); ++at) {
        const auto [first, last] = range_[static_cast<unsigned char>(text[at])];
        for (size_t i = first; i < last; ++i) {
            const AddedToken& token = tokens_[i];
            if (text.compare(at, token.content.size(), token.content) != 0) continue;
            match = {at, at + token.content.size(), at + token.content.size(), token.id};
            if (token.single_word && (word_before(text, match.begin) || word_at(text, match.end))) {
                at = match.end - 1;  // nothing else is looked for inside it
                break;
            }
            if (token.strip_left)
                while (match.begin > done && is_white_space(decode_at(text, before(text, match.begin)).value))
                    match.begin = before(text, match.begin);
            match.begin = std::max(match.begin, done);
            if (token.strip_right)
                while (match.end < text.size() && is_white_space(decode_at(text, match.end).value))
                    match.end += decode_at(text, match.end).length;
            return true;
        }
    }
    return false;
}

}  // namespace lithe::tokenize

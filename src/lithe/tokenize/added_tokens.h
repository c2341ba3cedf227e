// Added tokens of a tokenizer.json: strings that are tokens whatever the model says, found in the text before it is
// split.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

struct AddedToken {
    int32_t id = 0;
    std::string content;
    bool single_word = false;  // only where no word character stands beside it
    bool strip_left = false;   // takes the white space on its left with it
    bool strip_right = false;
    bool normalized = true;  // looked for in the normalized text
    bool special = false;    // never made of text
};

std::vector<AddedToken> read_added_tokens(const Json& list, const std::string& source);

// Cuts text into added tokens and what lies between: leftmost first, the longest of those that begin at one place.
class AddedTokenMatcher {
 public:
    // `content` of a token is what is looked for; empty ones never match.
    void add(AddedToken token);
    bool empty() const { return tokens_.empty(); }
    // Calls between(text) for text without tokens and found(id) for tokens, in order.
    template <class Between, class Found>
    void split(std::string_view text, const Between& between, const Found& found) const {
        size_t done = 0;
        Match match;
        for (size_t at = 0; next(text, at, done, match); at = match.resume) {
            if (match.begin > done) between(text.substr(done, match.begin - done));
            found(match.id);
            done = match.end;
        }
        if (done < text.size()) between(text.substr(done));
    }

 private:
    struct Match {
        size_t begin = 0, end = 0, resume = 0;
        int32_t id = 0;
    };
    // The first match that begins at `at` or later; its space on the left does not reach before `done`.
    bool next(std::string_view text, size_t at, size_t done, Match& match) const;
    std::vector<AddedToken> tokens_;  // by first byte, longest first
    std::array<std::pair<size_t, size_t>, 256> range_{};
};

}  // namespace lithe::tokenize

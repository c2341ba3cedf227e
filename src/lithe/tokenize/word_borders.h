// Where words begin in a text of tokens, whatever the tokenizer is. A word is a run of letters and digits, or of other
// signs, with the white space before it. What a token's text is behind another one decides: "Ġking" and "▁king" begin
// words, "##ing" goes on with one, and of bytes each space begins one. A token without text, as [SEP], stands alone.
#pragma once

#include <cstdint>
#include <vector>

#include "lithe/tokenize/tokenizer.h"

namespace lithe {

class WordBorders {
 public:
    // Decodes every token once.
    explicit WordBorders(const Tokenizer& tokenizer);
    // Whether a word begins with token `id` behind token `before`. Ids beyond the tokenizer's stand alone.
    bool between(int64_t before, int64_t id) const;

 private:
    enum class Sign : uint8_t { none, space, word, other };
    struct Ends {
        Sign first = Sign::none, last = Sign::none;
        bool all_space = false;
    };
    static Sign sign_of(uint32_t c);
    static Ends ends_of(const std::string& text);
    const Ends& of(int64_t id) const;
    std::vector<Ends> of_token_;
};

}  // namespace lithe

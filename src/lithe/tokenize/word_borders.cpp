#include "lithe/tokenize/word_borders.h"

#include "lithe/tokenize/unicode.h"

namespace lithe {

// Part of a character is taken for a letter: most of them are.
WordBorders::Sign WordBorders::sign_of(uint32_t c) {
    if (c >= tokenize::kBadByte || tokenize::is_word(c)) return Sign::word;
    return tokenize::is_white_space(c) ? Sign::space : Sign::other;
}

WordBorders::Ends WordBorders::ends_of(const std::string& text) {
    Ends ends{.all_space = true};
    tokenize::each_code_point(text, [&](uint32_t c, std::string_view) {
        ends.last = sign_of(c);
        if (ends.first == Sign::none) ends.first = ends.last;
        ends.all_space = ends.all_space && ends.last == Sign::space;
    });
    return ends;
}

WordBorders::WordBorders(const Tokenizer& tokenizer) {
    const int64_t size = tokenizer.vocabulary_size();
    std::vector<int64_t> before;  // some token with a text
    for (int64_t id = 0; id < size && before.empty(); ++id)
        if (tokenizer.text_bytes(int32_t(id)) > 0) before.push_back(id);
    for (int64_t id = 0; id < size; ++id) {
        const bool speaks = tokenizer.text_bytes(int32_t(id)) > 0;
        of_token_.push_back(speaks ? ends_of(continuation(tokenizer, before, {id})) : Ends());
    }
}

const WordBorders::Ends& WordBorders::of(int64_t id) const {
    static const Ends none;
    return id >= 0 && size_t(id) < of_token_.size() ? of_token_[size_t(id)] : none;
}

bool WordBorders::between(int64_t before, int64_t id) const {
    const Ends &last = of(before), &next = of(id);
    if (last.last == Sign::none || next.first == Sign::none) return true;
    // of "  a" each space is a byte and all are the word's; "Ġa" behind "Ġ" is a word of its own
    if (next.first == Sign::space) return last.last != Sign::space || !next.all_space;
    return last.last != Sign::space && last.last != next.first;
}

}  // namespace lithe

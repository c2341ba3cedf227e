// Unicode, as far as tokenizers need it: UTF-8 in and out, the character classes that their rules name, normal forms
// (utf8proc). Text that is not valid UTF-8 is read byte by byte: a bad byte is a code point of its own, kBadByte +
// byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lithe::tokenize {

constexpr uint32_t kBadByte = 0x110000;  // above every code point

struct CodePoint {
    uint32_t value = 0;
    uint32_t length = 0;  // bytes that it takes in the text
    bool bad() const { return value >= kBadByte; }
};

// The code point that begins at `at`; at < text.size().
CodePoint decode_at(std::string_view text, size_t at);
// The length in bytes alone.
inline size_t length_at(std::string_view text, size_t at) {
    return static_cast<unsigned char>(text[at]) < 0x80 ? 1 : decode_at(text, at).length;
}
// Calls f(code point, its bytes) over a text.
template <class F> void each_code_point(std::string_view text, const F& f) {
    for (size_t at = 0; at < text.size();) {
        const CodePoint c = decode_at(text, at);
        f(c.value, text.substr(at, c.length));
        at += c.length;
    }
}
// A bad byte is written as itself.
void append_utf8(std::string& text, uint32_t value);
// Where the last code point that may go on beyond the end begins: text.substr(0, n) can be decoded now.
size_t complete_prefix(std::string_view text);

bool is_letter(uint32_t c);       // \p{L}
bool is_number(uint32_t c);       // \p{N}
bool is_mark(uint32_t c);         // \p{M}
bool is_nonspacing(uint32_t c);   // \p{Mn}
bool is_white_space(uint32_t c);  // the property White_Space, \s
bool is_punctuation(uint32_t c);  // ASCII's, and \p{P}
bool is_word(uint32_t c);         // \w: alphabetic, mark, decimal number, connector, joiner
bool is_other(uint32_t c);        // \p{C}, but not assigned
bool is_han(uint32_t c);          // the blocks that BERT puts spaces around

enum class NormalForm { nfc, nfd, nfkc, nfkd };
// Bad bytes stay where they are.
std::string normal_form(std::string_view text, NormalForm form);
void append_lower(std::string& out, uint32_t c);  // full lower-case mapping
std::string lower_case(std::string_view text);
// The same text with every bad byte as U+FFFD.
std::string replace_bad_bytes(std::string_view text);

}  // namespace lithe::tokenize

#include "lithe/tokenize/gpt2_split.h"

#include <array>

#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

enum Class : unsigned char { kLetter, kNumber, kSpace, kRest };

Class class_of(uint32_t c) {
    if (is_white_space(c)) return kSpace;
    if (is_letter(c)) return kLetter;
    return is_number(c) ? kNumber : kRest;
}

const std::array<Class, 128>& ascii_classes() {
    static const std::array<Class, 128> table = [] {
        std::array<Class, 128> t{};
        for (uint32_t c = 0; c < 128; ++c) t[c] = class_of(c);
        return t;
    }();
    return table;
}

struct Classified {
    Class kind;
    size_t length;
};

inline Classified classify(std::string_view text, size_t at, const std::array<Class, 128>& ascii) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) return {ascii[first], 1};
    const CodePoint c = decode_at(text, at);
    return {class_of(c.value), c.length};
}

// The length of 's, 't, 're, 've, 'm, 'll, 'd at `at`, 0 where there is none.
size_t contraction(std::string_view text, size_t at) {
    const std::string_view rest = text.substr(at + 1, 2);
    if (rest.empty()) return 0;
    if (rest[0] == 's' || rest[0] == 't' || rest[0] == 'm' || rest[0] == 'd') return 2;
    return rest == "re" || rest == "ve" || rest == "ll" ? 3 : 0;
}

}  // namespace

size_t gpt2_next(std::string_view text, size_t at) {
    const auto& ascii = ascii_classes();
    if (text[at] == '\'')
        if (size_t length = contraction(text, at)) return at + length;
    size_t start = at;
    if (text[at] == ' ' && at + 1 < text.size()) ++start;
    auto [kind, length] = classify(text, start, ascii);
    if (kind != kSpace) {
        size_t end = start + length;
        while (end < text.size()) {
            const Classified next = classify(text, end, ascii);
            if (next.kind != kind) break;
            end += next.length;
        }
        return end;
    }
    // white space: all of it at the end of the text, else all but the last, but at least one
    size_t end = at, last = at;
    while (end < text.size()) {
        const Classified next = classify(text, end, ascii);
        if (next.kind != kSpace) return last > at ? last : end;
        last = end;
        end += next.length;
    }
    return end;
}

}  // namespace lithe::tokenize

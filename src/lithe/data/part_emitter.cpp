#include "lithe/data/part_emitter.h"

#include "lithe/tokenize/unicode.h"

namespace lithe {
namespace {

bool space_at(std::string_view text, size_t at) {
    return tokenize::is_white_space(tokenize::decode_at(text, at).value);
}

bool space_before(std::string_view text, size_t end) {
    size_t at = end - 1;
    while (at > 0 && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    return space_at(text, at);
}

}  // namespace

size_t part_length(std::string_view text, size_t limit) {
    const size_t lowest = limit / 2;
    size_t line = 0, space = 0;
    for (size_t at = limit; at-- > lowest;) {
        const char c = text[at];
        if (c == '\n') {
            const bool single = at > 0 && !space_before(text, at) && !space_at(text, at + 1);
            if (single) return at + 1;
            if (line == 0) line = at + 1;
        } else if (c == ' ' && space == 0 && at > 0 && !space_before(text, at)) {
            space = at;  // a space belongs to the word behind it
        }
    }
    if (line > 0 || space > 0) return space > 0 ? space : line;
    size_t end = limit;
    while (end > limit - 4 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return end;
}

}  // namespace lithe

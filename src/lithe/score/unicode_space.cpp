#include "lithe/score/unicode_space.h"

#include <algorithm>

namespace lithe {

size_t leading_space(std::string_view text) {
    if (text.empty()) return 0;
    const auto first = static_cast<unsigned char>(text[0]);
    if ((first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x20)) return 1;
    // U+0085, U+00A0, U+1680, U+2000 to 200A, U+2028, U+2029, U+202F, U+205F, U+3000
    static constexpr std::string_view kSpaces[] = {
        "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83",
        "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A",
        "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
    if (first < 0xC2) return 0;
    const auto found = std::find_if(std::begin(kSpaces), std::end(kSpaces),
                                    [&](std::string_view space) { return text.substr(0, space.size()) == space; });
    return found == std::end(kSpaces) ? 0 : found->size();
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    size_t begin = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t space = leading_space(text.substr(at));
        if (space == 0) {
            ++at;
            continue;
        }
        if (at > begin) words.push_back(text.substr(begin, at - begin));
        at += space;
        begin = at;
    }
    if (begin < text.size()) words.push_back(text.substr(begin));
    return words;
}

}  // namespace lithe

#include "lithe/tokenize/unicode.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "lithe/base/error.h"

namespace lithe::tokenize {
namespace {

int category(uint32_t c) { return c < kBadByte ? int(utf8proc_category(utf8proc_int32_t(c))) : UTF8PROC_CATEGORY_CN; }

bool between(int value, int low, int high) { return value >= low && value <= high; }

// Alphabetic by Other_Alphabetic alone among the symbols: circled and squared letters.
bool is_circled_letter(uint32_t c) {
    return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
           (c >= 0x1F170 && c <= 0x1F189);
}

void append_normal_form(std::string& out, std::string_view good, NormalForm form) {
    int options = UTF8PROC_STABLE;
    options |= form == NormalForm::nfc || form == NormalForm::nfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (form == NormalForm::nfkc || form == NormalForm::nfkd) options |= UTF8PROC_COMPAT;
    utf8proc_uint8_t* mapped = nullptr;
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(good.data()),
                                   utf8proc_ssize_t(good.size()), &mapped, utf8proc_option_t(options));
    std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(mapped, std::free);
    if (size < 0) fail({.what = std::string("Unicode normal form: ") + utf8proc_errmsg(size), .where = "text"});
    out.append(reinterpret_cast<const char*>(mapped), size_t(size));
}

}  // namespace

CodePoint decode_at(std::string_view text, size_t at) {
    const auto* s = reinterpret_cast<const unsigned char*>(text.data()) + at;
    const size_t left = text.size() - at;
    const uint32_t first = s[0];
    if (first < 0x80) return {first, 1};
    auto tail = [&](size_t i) { return i < left && (s[i] & 0xC0) == 0x80; };
    if (first >= 0xC2 && first <= 0xDF && tail(1)) return {(first & 0x1F) << 6 | (s[1] & 0x3Fu), 2};
    if ((first & 0xF0) == 0xE0 && tail(1) && tail(2)) {
        const uint32_t c = (first & 0x0F) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
        if (c >= 0x800 && (c < 0xD800 || c > 0xDFFF)) return {c, 3};
    }
    if (first >= 0xF0 && first <= 0xF4 && tail(1) && tail(2) && tail(3)) {
        const uint32_t c = (first & 0x07) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
        if (c >= 0x10000 && c <= 0x10FFFF) return {c, 4};
    }
    return {kBadByte + first, 1};
}

void append_utf8(std::string& text, uint32_t c) {
    if (c >= kBadByte) text += char(c - kBadByte);
    else if (c < 0x80) text += char(c);
    else if (c < 0x800) text += {char(0xC0 | c >> 6), char(0x80 | (c & 0x3F))};
    else if (c < 0x10000) text += {char(0xE0 | c >> 12), char(0x80 | (c >> 6 & 0x3F)), char(0x80 | (c & 0x3F))};
    else
        text += {char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 0x3F)), char(0x80 | (c >> 6 & 0x3F)),
                 char(0x80 | (c & 0x3F))};
}

size_t complete_prefix(std::string_view text) {
    for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
        const auto c = static_cast<unsigned char>(text[text.size() - back]);
        if ((c & 0xC0) == 0x80) continue;
        const size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return length > back ? text.size() - back : text.size();
    }
    return text.size();
}

bool is_letter(uint32_t c) { return between(category(c), UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO); }
bool is_number(uint32_t c) { return between(category(c), UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO); }
bool is_mark(uint32_t c) { return between(category(c), UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME); }
bool is_nonspacing(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_MN; }

bool is_white_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_punctuation(uint32_t c) {
    if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    return between(category(c), UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO);
}

bool is_word(uint32_t c) {
    const int k = category(c);
    return between(k, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_ME) || k == UTF8PROC_CATEGORY_ND ||
           k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D || is_circled_letter(c);
}

bool is_other(uint32_t c) {
    const int k = category(c);
    return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO;
}

bool is_han(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

std::string normal_form(std::string_view text, NormalForm form) {
    std::string out;
    size_t good = 0, at = 0;
    auto flush = [&](size_t end) {
        if (end > good) append_normal_form(out, text.substr(good, end - good), form);
    };
    while (at < text.size()) {
        const CodePoint c = decode_at(text, at);
        if (c.bad()) {
            flush(at);
            out += text[at];
            good = at + 1;
        }
        at += c.length;
    }
    flush(at);
    return out;
}

void append_lower(std::string& out, uint32_t c) {
    if (c == 0x130) out += "i\xCC\x87";  // the one unconditional mapping to two code points
    else append_utf8(out, c < kBadByte ? uint32_t(utf8proc_tolower(utf8proc_int32_t(c))) : c);
}

std::string lower_case(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    each_code_point(text, [&](uint32_t c, std::string_view) { append_lower(out, c); });
    return out;
}

std::string replace_bad_bytes(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    each_code_point(text, [&](uint32_t c, std::string_view bytes) { out += c >= kBadByte ? "\xEF\xBF\xBD" : bytes; });
    return out;
}

}  // namespace lithe::tokenize

#include "lithe/tokenize/base64.h"

#include <array>
#include <cstdint>

#include "lithe/base/error.h"

namespace lithe::tokenize {
namespace {

const char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string encode_base64(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 3; ++j)
            group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
        for (size_t j = 0; j < 4; ++j) out += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

std::string decode_base64(std::string_view text, const std::string& source) {
    std::array<int, 256> value{};
    value.fill(-1);
    for (int i = 0; i < 64; ++i) value[static_cast<unsigned char>(kDigits[i])] = i;
    if (text.size() % 4 != 0)
        fail_file("base64 text of " + std::to_string(text.size()) + " characters, no multiple of 4", source);
    std::string out;
    out.reserve(text.size() / 4 * 3);
    for (size_t i = 0; i < text.size(); i += 4) {
        uint32_t group = 0;
        size_t padding = 0;
        for (size_t j = 0; j < 4; ++j) {
            const char c = text[i + j];
            const bool pad = c == '=' && i + 4 == text.size() && j >= 2;
            const int digit = pad ? 0 : value[static_cast<unsigned char>(c)];
            if (digit < 0 || (padding && !pad)) fail_file("no base64 at character " + std::to_string(i + j), source);
            padding += pad;
            group = group << 6 | uint32_t(digit);
        }
        for (size_t j = 0; j < 3 - padding; ++j) out += char(group >> (16 - 8 * j));
    }
    return out;
}

}  // namespace lithe::tokenize

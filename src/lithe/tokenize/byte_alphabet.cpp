#include "lithe/tokenize/byte_alphabet.h"

#include <array>

#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

struct Alphabet {
    std::array<uint32_t, 256> character{};
    std::array<int, 512> byte{};
    Alphabet() {
        byte.fill(-1);
        uint32_t next = 256;
        for (uint32_t b = 0; b < 256; ++b) {
            const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
            character[b] = printable ? b : next++;
            byte[character[b]] = int(b);
        }
    }
};

const Alphabet& alphabet() {
    static const Alphabet instance;
    return instance;
}

}  // namespace

uint32_t character_of_byte(unsigned char byte) { return alphabet().character[byte]; }

void append_byte_alphabet(std::string& out, std::string_view bytes) {
    for (char byte : bytes) append_utf8(out, character_of_byte(static_cast<unsigned char>(byte)));
}

std::optional<std::string> bytes_of_alphabet(std::string_view word) {
    std::string bytes;
    for (size_t at = 0; at < word.size();) {
        const CodePoint c = decode_at(word, at);
        if (c.value >= 512 || alphabet().byte[c.value] < 0) return std::nullopt;
        bytes += char(alphabet().byte[c.value]);
        at += c.length;
    }
    return bytes;
}

}  // namespace lithe::tokenize

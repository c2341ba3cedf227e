// Random texts that tokenizers find hard: spaces, scripts, marks, emoji, bytes that are no UTF-8.
#pragma once

#include <string>

#include "lithe/base/rng.h"

namespace lithe::testing {

inline std::string random_text(uint64_t seed, bool bad_bytes = false) {
    static const char* const kParts[] = {" ",
                                         "  ",
                                         "\n",
                                         "\n\n",
                                         "\t",
                                         "a",
                                         "the",
                                         "Der",
                                         "'s",
                                         "'ll",
                                         "'",
                                         "don't",
                                         "12",
                                         "3.14",
                                         "é",
                                         "e\xCC\x81",
                                         "ß",
                                         "世界",
                                         "、",
                                         "نص",
                                         "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",
                                         "\xE2\x80\x8D",
                                         "...",
                                         "!?",
                                         "<|endoftext|>",
                                         "</s>",
                                         "_",
                                         "\xC2\xA0",
                                         "\xE3\x80\x80",
                                         "x",
                                         "yz",
                                         "\r\n",
                                         "ﬁ"};
    std::string text;
    uint64_t draw = 0;
    const uint64_t count = random_bits(seed, draw++) % 30;
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t bits = random_bits(seed, draw++);
        if (bad_bytes && bits % 7 == 0) text += char(bits >> 8);
        else text += kParts[(bits >> 16) % (sizeof kParts / sizeof *kParts)];
    }
    return text;
}

}  // namespace lithe::testing

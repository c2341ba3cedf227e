// GPT-2's alphabet: each of the 256 bytes as a printable character, so that byte strings can stand in JSON
// (Radford et al. 2019, encoder.py, bytes_to_unicode).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lithe::tokenize {

uint32_t character_of_byte(unsigned char byte);
void append_byte_alphabet(std::string& out, std::string_view bytes);
// The bytes that a word of the alphabet stands for; nothing where it holds another character.
std::optional<std::string> bytes_of_alphabet(std::string_view word);

}  // namespace lithe::tokenize

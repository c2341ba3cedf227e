// What Moses' tokenizer knows of each language, as sacremoses 0.1.1 has it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lithe::tokenize {

// One substitution, from left to right over a text: the character in the middle, between a character of each class,
// becomes `put`. What was matched or put is not looked at again.
struct MosesRule {
    using Class = bool (*)(uint32_t);
    Class before = nullptr;  // nullptr: whatever stands there
    char32_t middle = 0;
    Class after = nullptr;
    std::u32string_view put;
    bool at_end = false;  // only where the text ends behind the middle
};

struct MosesLanguage {
    std::string_view code;
    std::span<const MosesRule> apostrophes;           // in order
    std::span<const std::string_view> abbreviations;  // lists of words that keep their full stop, with spaces between
    std::string_view before_numbers;                  // words that keep it only before a number
};

std::span<const MosesLanguage> moses_languages();

}  // namespace lithe::tokenize

// Pairs of lines of IWSLT'14's TED talks as published results train on them: what fairseq's
// examples/translation/prepare-iwslt14.sh (Ott et al. 2019) makes before byte-pair encoding. The lines are tokenized
// (tokenize/moses.h) and lower-cased.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace lithe {

// Of two languages; line n of one side belongs to line n of the other.
struct SideTexts {
    std::array<std::string, 2> languages;  // as "de", "en"
    std::array<std::string, 2> texts;
};
using SideLines = std::array<std::vector<std::string>, 2>;

// Of train.tags.*: lines with <url>, <talkid> and <keywords> are left out, the marks of titles and descriptions taken
// off. Then pairs are left out as Moses' clean-corpus-n.perl -ratio 1.5 ... 1 175 does. A side may not be empty, nor
// have more than 175 words, more than 1.5 times the other's, or a word of more than 1,000 characters.
// Both throw bad_file where the sides differ in their number of lines; `where` names the texts.
SideLines tagged_pairs(const SideTexts& sides, const std::string& where);
// Of IWSLT14.*.xml: the text of lines with <seg id, the apostrophe U+2019 as '. Nothing is left out.
SideLines segment_pairs(const SideTexts& sides, const std::string& where);

}  // namespace lithe

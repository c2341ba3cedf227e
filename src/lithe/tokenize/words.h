#pragma once

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe::tokenize {

// How lines become words (Transformer-XL's vocabulary.py documents the conventions of its corpora):
//   WikiText-2 and -103   words, <eos> at every line end
//   Penn Treebank         the same, lower case
//   one billion words     <S> before and behind every line
struct WordRules {
    bool lower = false;
    std::string line_end = "<eos>";  // empty: line ends are white space
    bool line_start = false;         // line_end also stands before every line
    std::string unknown = "<unk>";
};

// {"kind": "words", ..., "words": ["<eos>", "<unk>", "the", ...]}, ids in this order. line_end and unknown are among
// them.
TokenizerPtr make_words(std::vector<std::string> words, const WordRules& rules, const std::string& source);
TokenizerPtr read_words(const Json& json, const std::string& source);

// Calls word(text) for every word and line_end() for every line break of a text.
template <class Word, class LineEnd> void each_word(std::string_view text, const Word& word, const LineEnd& line_end);

}  // namespace lithe::tokenize

#include "lithe/tokenize/unicode.h"

template <class Word, class LineEnd>
void lithe::tokenize::each_word(std::string_view text, const Word& word, const LineEnd& line_end) {
    size_t begin = 0;
    for (size_t at = 0; at < text.size();) {
        const auto first = static_cast<unsigned char>(text[at]);
        if (first > ' ' && first < 0x80) {
            ++at;
            continue;
        }
        const CodePoint c = decode_at(text, at);
        if (is_white_space(c.value)) {
            if (at > begin) word(text.substr(begin, at - begin));
            if (first == '\n') line_end();
            begin = at + c.length;
        }
        at += c.length;
    }
    if (begin < text.size()) word(text.substr(begin));
}

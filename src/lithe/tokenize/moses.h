// Moses' tokenizer (Koehn et al. 2007) as published translation corpora were made with it: words, numbers and
// punctuation of a line with single spaces between, and & | < > ' " [ ] as entities (&amp; &#124; &lt; &gt; &apos;
// &quot; &#91; &#93;). Equal to sacremoses 0.1.1, MosesTokenizer(language).tokenize(line) with its defaults: hyphens
// within words stay, nothing is protected.
//
// sacremoses' tokens are those of mosesdecoder's scripts/tokenizer/tokenizer.perl before November 2018. Since then Perl
// cuts the full stop off the last word of a line, whatever it is ("the U.S ."). sacremoses, and this, leave it ("the
// U.S."). They also differ on U+001C to U+001F, which are white space here and dropped there. sacremoses' letters are
// older: it puts spaces around ideographs, Hangul and most of what is beyond U+FFFF.
//
// Bytes that are no UTF-8 are characters that are no letters. The word DOTMULTI stays, where sacremoses and Perl, which
// mark dots with it, make a full stop of it.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "lithe/tokenize/moses_languages.h"

namespace lithe::tokenize {

class MosesTokenizer {
 public:
    // "de" or "en". Throws a usage error for a language that is not in the table.
    explicit MosesTokenizer(std::string_view language);
    // The tokens of a line, with one space between two; empty where there are none. Thread-safe.
    std::string tokenize(std::string_view line) const;

 private:
    bool keeps_stop(std::u32string_view word, std::u32string_view next) const;
    const MosesLanguage* language_ = nullptr;
    std::set<std::string, std::less<>> abbreviations_, before_numbers_;
};

}  // namespace lithe::tokenize

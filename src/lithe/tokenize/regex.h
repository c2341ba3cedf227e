// A regular expression over UTF-8 as tokenizer.json files mean it (Oniguruma's syntax as far as PCRE2 shares it), with
// limits on what a match may cost.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lithe::tokenize {

struct Span {
    size_t begin = 0, end = 0;
    bool match = false;
    bool bad = false;  // bytes that are no UTF-8: no match and never left out
};

class Regex {
 public:
    // Throws bad_file for a pattern that PCRE2 refuses, with the column. `source` names the file.
    Regex(const std::string& pattern, const std::string& source);
    ~Regex();
    // Covers the text with matches and what lies between them; empty matches are passed over. Bytes that are no UTF-8
    // are spans of their own; what stands between two of them is a text for itself. Thread-safe. Throws when a match
    // needs too much work.
    void spans(std::string_view text, std::vector<Span>& out) const;
    const std::string& pattern() const { return pattern_; }

 private:
    void valid_spans(std::string_view text, size_t offset, std::vector<Span>& out) const;
    struct Impl;
    std::unique_ptr<Impl> impl_;
    std::string pattern_;
};

// The pattern with \s and \S spelled out as Unicode's White_Space, on which engines differ.
std::string spell_out_white_space(const std::string& pattern);

}  // namespace lithe::tokenize

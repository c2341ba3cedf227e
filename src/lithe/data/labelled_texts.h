// Texts, or pairs of texts, that have a label each: what is told apart, or given a number.
//
//   text      before  a  after
//   pair      before  a  between  b  after      b and what follows it: the second token type
//   apart     before  a  after   beside   before  b  after, the batch's source
//
// A pair is documents 2n and 2n + 1 of a corpus with data.second. A text that is too long is cut at its end; of a pair
// in one sequence the longer side is, until both are in (Devlin et al. 2019, run_classifier.py's rule).
#pragma once

#include <string>
#include <vector>

#include "lithe/data/batch.h"
#include "lithe/data/token_view.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

// Tokens around texts.
struct TextMarks {
    std::vector<int64_t> before, between, after;
};
// BERT's [CLS] and [SEP], RoBERTa's <s> and </s> (two between the texts of a pair), else the token that ends documents;
// a vocabulary without any has a line end between texts.
TextMarks marks_of(const Tokenizer& tokenizer);

class LabelledTexts {
 public:
    struct Options {
        TextMarks marks;
        bool pairs = false;
        bool apart = false;  // the texts of a pair are two sequences
        int64_t length = 0;  // tokens of a sequence at most, marks included
    };
    // `tokens` must outlive it. Throws bad_file where pairs are not whole, usage where the marks alone are too long.
    LabelledTexts(const TokenView& tokens, Options options);
    uint64_t size() const { return pairs() ? tokens_->documents() / 2 : tokens_->documents(); }
    bool pairs() const { return options_.pairs; }
    // Tokens of the longer sequence with the marks, before and after the cut.
    int64_t whole_length(uint64_t number) const;
    int64_t length(uint64_t number) const { return std::min(whole_length(number), options_.length); }
    // "": the texts have none.
    const std::string& label(uint64_t number) const;
    // A batch of these, as long as the longest of them. Its labels are the caller's.
    void fill(const std::vector<uint64_t>& numbers, Batch& batch) const;

 private:
    struct Sides {
        std::vector<int64_t> first, second;
    };
    std::vector<int64_t> side(uint64_t document) const;
    Sides cut_sides(uint64_t number) const;
    int64_t marks() const;
    bool in_one() const { return options_.pairs && !options_.apart; }
    void fill_row(Batch& batch, int64_t row, uint64_t number) const;
    const TokenView* tokens_;
    Options options_;
};

// The first `count` of them, those of a length together: a batch of these has little padding.
std::vector<uint64_t> by_length(const LabelledTexts& texts, uint64_t count);

}  // namespace lithe

// Pairs of a source and a target text, for models that read one and write the other.
//
// Documents 2n and 2n + 1 of a parallel corpus are a pair (data/parallel_text.h). A batch is pairs of similar length,
// as many as fit into so many tokens a side, padding included: many short ones or few long ones. Each epoch's random
// order is cut into windows, whose pairs are sorted by length, and whose batches are taken in a random order.
#pragma once

#include "lithe/data/feeder.h"

namespace lithe {

// Pairs of a corpus part. The view must outlive it.
class PairView {
 public:
    // `end`: the token that ends a text; documents may hold it already.
    PairView(const TokenView& tokens, int64_t end);
    uint64_t size() const { return tokens_->documents() / 2; }
    // Tokens of a side with its end token; 1: there is no text.
    int64_t source_length(uint64_t pair) const { return length(2 * pair); }
    int64_t target_length(uint64_t pair) const { return length(2 * pair + 1); }
    // The tokens of a side with its end token.
    std::vector<int64_t> source(uint64_t pair) const { return read(2 * pair); }
    std::vector<int64_t> target(uint64_t pair) const { return read(2 * pair + 1); }
    int64_t end() const { return end_; }

 private:
    int64_t length(uint64_t document) const;
    std::vector<int64_t> read(uint64_t document) const;
    const TokenView* tokens_;
    int64_t end_;
};

// Both sides with their end token; a side may be empty.
struct TokenPair {
    std::vector<int64_t> source, target;
};
// A batch of these pairs, as long as the longest of them: the sources, the end token before each target as its first
// input, the targets. The rest is padding.
void fill_pairs(const std::vector<TokenPair>& pairs, int64_t end, Batch& batch);
void fill_pairs(const PairView& view, const std::vector<uint64_t>& pairs, Batch& batch);

struct PairOptions {
    int64_t batch = 1;   // a batch has at most batch x length tokens a side
    int64_t length = 1;  // tokens of a side, with its end token: longer pairs are left out
    uint64_t seed = 0;
    int64_t end = 0;
};

// How many of how many these are, and the first of them counted from 1: "2 of 40 (number 3, 17)".
std::string which_pairs(const std::vector<uint64_t>& pairs, uint64_t all);

// Throws a usage error where no pair fits.
std::unique_ptr<Feeder> make_pair_feeder(const TokenView& tokens, const PairOptions& options);

}  // namespace lithe

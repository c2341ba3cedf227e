// Tokens with the bytes of text that each of them stands for: what bits per byte are counted by.
#pragma once

#include <cstdint>
#include <vector>

#include "lithe/data/token_view.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

// Lossless tokenizers: exact. Others: what the split's text has beyond its tokens' own belongs to the unknown tokens,
// each alike, and where there is none to all tokens in proportion. The view must outlive it.
class ScoredText {
 public:
    // Every token stands for the same part of the view's bytes.
    ScoredText(const TokenView& tokens);
    // Reads the view once, unless the tokenizer is lossless.
    ScoredText(const TokenView& tokens, const Tokenizer& tokenizer);

    const TokenView& tokens() const { return *tokens_; }
    // Ids beyond the tokenizer's stand for no text.
    double bytes_of(int64_t id) const {
        if (bytes_.empty()) return even_;
        return size_t(id) < bytes_.size() ? bytes_[size_t(id)] : 0;
    }
    // Bytes of the token that no token expresses: all those of the unknown token; of others what is spread over them.
    double unspoken_of(int64_t id) const;
    // How many tokens from the first one together stand for at most this many bytes.
    uint64_t tokens_within(uint64_t bytes) const;

 private:
    void count(const Tokenizer& tokenizer);
    const TokenView* tokens_;
    double even_ = 1;            // bytes per token of the view
    std::vector<double> bytes_;  // by id; empty: even
    int64_t unknown_ = -1;
    double spread_ = 0;  // share of each known token's bytes that stands for text without a token
};

}  // namespace lithe

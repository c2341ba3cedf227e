// Makes a tokenizer from text: feed it all, then finish.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lithe/tokenize/tokenizer.h"

namespace lithe {

struct TokenizerTrainingOptions {
    std::string kind = "bpe";  // one of tokenizer_training_kinds()
    int64_t size = 8192;       // tokens at most; characters, words: 0 = all
    int64_t min_count = 0;     // rarer words, characters and merges are left out; 0: the kind's own (1; merges 2)
    bool lower = false;        // words
    std::string line_end = "<eos>";
    bool line_start = false;
    std::string end = "<|endoftext|>";       // bpe: the token between documents; empty: none
    std::string normalization = "identity";  // sentencepiece: its rule name
    double character_coverage = 0.9995;      // sentencepiece
    std::stop_token stop = {};               // finish() throws `stopped` then, where it takes long
};

class TokenizerTrainer {
 public:
    virtual ~TokenizerTrainer() = default;
    // Text in any pieces that end at line ends or documents' ends.
    virtual void feed(std::string_view text) = 0;
    virtual TokenizerPtr finish() = 0;
};

std::vector<std::string> tokenizer_training_kinds();
// Throws a usage error for options that do not fit.
std::unique_ptr<TokenizerTrainer> make_tokenizer_trainer(const TokenizerTrainingOptions& options);

}  // namespace lithe

#pragma once

#include "lithe/tokenize/trainer.h"

namespace lithe::tokenize {

// The SentencePiece library's trainer; `model_type` is "unigram" or "bpe". Line breaks are tokens of their own and
// bytes stand in for characters outside the vocabulary, so that with the rule "identity" text comes back as it was.
std::unique_ptr<TokenizerTrainer> make_sentencepiece_trainer(const std::string& model_type,
                                                             const TokenizerTrainingOptions& options);

}  // namespace lithe::tokenize

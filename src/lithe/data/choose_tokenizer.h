// The tokenizer that a configuration means: a file, or one that is made from the corpus.
#pragma once

#include <cstdint>

#include "lithe/spec/config.h"
#include "lithe/tokenize/tokenizer.h"
#include "lithe/tokenize/trainer.h"

namespace lithe {

// What the configuration names; null for a kind that is made from the corpus (see train_tokenizer). Throws usage for a
// name that is neither a kind nor a file.
TokenizerPtr named_tokenizer(const DataConfig& config);
// The training options that data.tokenizer and its neighbours mean.
TokenizerTrainingOptions training_options(const DataConfig& config, std::stop_token stop);

// Trains on the corpus's training split, or on a fair sample of about `sample_bytes` of it (0: all). Whole alphabets
// (bytes, characters) are taken from all splits, so that no text of the corpus is outside them.
// Throws stopped when `training.stop` asks for it. `division`: takes the words on how the text was divided.
TokenizerPtr train_tokenizer(const DataConfig& config, const TokenizerTrainingOptions& training, uint64_t sample_bytes,
                             bool progress, std::string* division = nullptr);

}  // namespace lithe

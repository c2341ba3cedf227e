// The masked-token objective (Devlin et al. 2019, section 3.1): some tokens are to be predicted from all others; of
// these, most are replaced by a mask token, some by a random one, some stay.
#pragma once

#include <optional>

#include "lithe/spec/config.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

struct Masking {
    double rate = 0.15, mask_share = 0.8, random_share = 0.1;
    int64_t mask_id = 0;
    int64_t vocabulary = 0;  // random tokens are below this
    uint64_t seed = 0;

    struct Choice {
        bool scored = false;
        int64_t input = 0;
    };
    // What becomes of token `id` at number `place` of stream `key`; equal arguments choose equally.
    Choice choose(int64_t id, uint64_t key, uint64_t place) const;
};

// nullopt for the next-token objective. Throws usage when objective.mask_token is no token of the tokenizer.
std::optional<Masking> masking_of(const Config& config, const Tokenizer& tokenizer);

// Ids that a model of this configuration has: the tokenizer's, and a mask token where that has none.
int64_t model_vocabulary(const Config& config, const Tokenizer& tokenizer);
// The same for a model to be made. Throws usage where model.vocabulary_size states another number.
int64_t checked_vocabulary(const Config& config, const Tokenizer& tokenizer);

}  // namespace lithe

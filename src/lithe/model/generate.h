// Token by token from a prompt, state carried, keys and values cached.
#pragma once

#include <functional>

#include "lithe/model/language_model.h"

namespace lithe {

struct SamplingOptions {
    int64_t tokens = 200;
    double temperature = 1.0;  // 0: the likeliest token
    int64_t top_k = 0;         // 0: all
    double top_p = 1.0;
    uint64_t seed = 1;
    bool cache = true;      // keep keys and values; false: keep inputs and project them again
    int64_t memory = 0;     // earlier positions that attention sees; 0: the model's own
    int64_t segment = 256;  // prompt tokens per forward pass
};

// One token from fp32 logits [V]. `index` numbers the draws of a seed.
int64_t sample_token(const Tensor& logits_V, const SamplingOptions& options, uint64_t index);

// Calls `use` with each new token; it returns false to stop. The prompt must not be empty. Returns the tokens made.
std::vector<int64_t> generate(const LanguageModel& model, const std::vector<int64_t>& prompt,
                              const SamplingOptions& options, const std::function<bool(int64_t)>& use);

}  // namespace lithe

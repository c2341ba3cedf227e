// Token by token from a prompt, state carried, keys and values cached.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "lithe/model/language_model.h"

namespace lithe {

struct SamplingOptions {
    int64_t tokens = 200;
    double temperature = 1.0;  // 0: the likeliest token
    int64_t top_k = 0;         // 0: all
    double top_p = 1.0;
    uint64_t seed = 1;           // with the prompt it decides what is drawn
    std::optional<int64_t> end;  // the token that ends a text; it is not among the tokens made
    bool cache = true;           // keep keys and values; false: keep inputs and project them again
    int64_t memory = 0;          // earlier positions that attention sees; 0: the model's own
    int64_t segment = 256;       // prompt tokens per forward pass
    bool int8 = false;           // after the prompt, weights as int8 codes with a scale per row
    bool steps = true;  // after the prompt, single steps without tensors where the model has them; else forward()
    std::stop_token stop = {};
};

// Draws tokens; keeps its working memory.
class Sampler {
 public:
    // Prompts that end alike must not draw alike: the key is of both.
    Sampler(const SamplingOptions& options, const std::vector<int64_t>& prompt);
    // One token from logits [size]. `index` numbers the draws of a seed.
    int64_t draw(const float* logits, int64_t size, uint64_t index);

 private:
    int64_t draw_from_all(const float* logits, int64_t size, float highest, double share);
    int64_t draw_from_likeliest(const float* logits, int64_t size, double share);

    SamplingOptions options_;
    uint64_t key_;
    std::vector<int64_t> order_;
    std::vector<double> weight_;
};

// Calls `use` with each new token; it returns false to stop. The prompt must not be empty. Returns the tokens made:
// fewer than asked for where the text ended, `use` wanted no more, or a stop was asked for.
std::vector<int64_t> generate(const LanguageModel& model, const std::vector<int64_t>& prompt,
                              const SamplingOptions& options, const std::function<bool(int64_t)>& use);

}  // namespace lithe

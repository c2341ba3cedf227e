// Which token comes next: drawn from the model's probabilities, bent and cut as the options say.
//
//   repetition penalty   logits of tokens that stood there before: l / p where l > 0, else l p (Keskar et al. 2019)
//   temperature          l / t; 0: the likeliest token
//   top-k                the k likeliest
//   top-p                of these the likeliest that together reach p (Holtzman et al. 2020)
//   min-p                of these, tokens with at least this share of the likeliest's probability (Nguyen et al. 2024)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lithe {

struct SamplingOptions {
    double temperature = 1.0;
    int64_t top_k = 0;  // 0: all
    double top_p = 1.0, min_p = 0.0;
    double repetition_penalty = 1.0;
    uint64_t seed = 1;  // with prompt and number it decides what is drawn
};

// Throws usage for numbers outside of their ranges: temperature 0 to 100, top-p and min-p 0 to 1, top-k from 0, the
// penalty 0.01 to 100.
void check_sampling(const SamplingOptions& options);

// Of one text. Draws the same whatever other texts are beside it: each token has a waiting time of its own, drawn by
// seed, place and token, and the first one comes (the exponential race, or Gumbel-max trick). A rounding of the logits
// changes a text only where two tokens come at the same time up to that rounding.
class Sampler {
 public:
    // Prompts that end alike must not draw alike: the key is of seed, prompt and `number`, which tells several texts of
    // one prompt apart.
    Sampler(const SamplingOptions& options, const std::vector<int64_t>& prompt, int64_t number = 0);
    // The text's next token, from logits [size]. Throws `diverged` for logits that are not finite.
    int64_t draw(std::span<const float> logits);

 private:
    std::span<const float> penalized(std::span<const float> logits);
    int64_t draw_from_all(std::span<const float> logits, double highest) const;
    int64_t draw_from_likeliest(std::span<const float> logits);

    SamplingOptions options_;
    uint64_t key_, drawn_ = 0;
    std::vector<int64_t> seen_;  // with a penalty: tokens of prompt and text, each once
    std::vector<float> penalized_;
    std::vector<int64_t> order_;
    std::vector<double> weight_;
};

// Throws `diverged` for logits of which one is no number, or the highest not finite.
void check_finite(std::span<const float> logits);
// log sum exp.
double log_total(std::span<const float> logits);

struct TokenProbability {
    int64_t token = 0;
    double log_p = 0;  // natural logarithm, of the model's own probabilities
};
// Of one token, from logits.
double log_probability(std::span<const float> logits, int64_t token);
// The likeliest, at most `count`; ties by the smaller id.
std::vector<TokenProbability> likeliest(std::span<const float> logits, int64_t count);

}  // namespace lithe

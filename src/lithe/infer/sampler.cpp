#include "lithe/infer/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/rng.h"
#include "lithe/base/wording.h"

namespace lithe {
namespace {

uint64_t key_of(const SamplingOptions& options, const std::vector<int64_t>& prompt, int64_t number) {
    const uint64_t key =
        combine_key(combine_key(options.seed, "sample"),
                    hash_bytes({reinterpret_cast<const char*>(prompt.data()), prompt.size() * sizeof(int64_t)}));
    return number > 0 ? combine_key(key, uint64_t(number)) : key;
}

// The first `count` of the ids, the likeliest first; ties by the smaller id.
void sort_likeliest(std::span<const float> logits, int64_t count, std::vector<int64_t>& order) {
    order.resize(logits.size());
    std::iota(order.begin(), order.end(), int64_t(0));
    std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int64_t a, int64_t b) {
        const float one = logits[size_t(a)], other = logits[size_t(b)];
        return one != other ? one > other : a < b;
    });
}

// Token i comes after a time E_i / weight_i, E_i exponential: the first one is i with probability weight_i / total.
class Race {
 public:
    explicit Race(uint64_t key) : key_(key) {}
    void enter(int64_t token, double weight) {
        const double unit = random_unit(key_, uint64_t(token));
        if (unit >= best_ * weight) return;  // -log(1 - u) is no less than u
        const double time = -std::log1p(-unit) / weight;
        if (time >= best_) return;
        best_ = time;
        first_ = token;
    }
    int64_t first() const { return first_; }

 private:
    uint64_t key_;
    double best_ = std::numeric_limits<double>::max();
    int64_t first_ = 0;
};

int64_t place_of_highest(std::span<const float> logits) {
    return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

}  // namespace

void check_sampling(const SamplingOptions& o) {
    const auto check = [](const char* name, double value, double low, double high) {
        if (value >= low && value <= high) return;  // not a number fails too
        fail({.kind = ErrorKind::usage,
              .what = "a number out of its range",
              .where = option(name),
              .expected = fmt::format("{} to {}", low, high),
              .got = fmt::format("{}", value)});
    };
    check("temperature", o.temperature, 0, 100);
    check("top-k", double(o.top_k), 0, 1 << 24);
    check("top-p", o.top_p, 0, 1);
    check("min-p", o.min_p, 0, 1);
    check("repetition-penalty", o.repetition_penalty, 0.01, 100);
}

Sampler::Sampler(const SamplingOptions& options, const std::vector<int64_t>& prompt, int64_t number)
    : options_(options),
      key_(key_of(options, prompt, number)) {
    if (options.repetition_penalty == 1) return;
    seen_ = prompt;
    std::sort(seen_.begin(), seen_.end());
    seen_.erase(std::unique(seen_.begin(), seen_.end()), seen_.end());
}

std::span<const float> Sampler::penalized(std::span<const float> logits) {
    if (options_.repetition_penalty == 1) return logits;
    penalized_.assign(logits.begin(), logits.end());
    for (const int64_t token : seen_) {
        float& logit = penalized_[size_t(token)];
        logit = float(logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty);
    }
    return penalized_;
}

int64_t Sampler::draw(std::span<const float> given) {
    check_finite(given);
    const std::span<const float> logits = penalized(given);
    int64_t token = place_of_highest(logits);
    if (options_.temperature > 0) {
        const bool all = options_.top_k <= 0 && options_.top_p >= 1 && options_.min_p <= 0;
        token = all ? draw_from_all(logits, double(logits[size_t(token)])) : draw_from_likeliest(logits);
    }
    ++drawn_;
    if (options_.repetition_penalty != 1) {
        const auto place = std::lower_bound(seen_.begin(), seen_.end(), token);
        if (place == seen_.end() || *place != token) seen_.insert(place, token);
    }
    return token;
}

int64_t Sampler::draw_from_all(std::span<const float> logits, double highest) const {
    Race race(combine_key(key_, drawn_));
    for (size_t i = 0; i < logits.size(); ++i)
        race.enter(int64_t(i), std::exp((double(logits[i]) - highest) / options_.temperature));
    return race.first();
}

int64_t Sampler::draw_from_likeliest(std::span<const float> logits) {
    const auto size = int64_t(logits.size());
    const int64_t count = options_.top_k > 0 ? std::min(size, options_.top_k) : size;
    sort_likeliest(logits, count, order_);
    const double highest = double(logits[size_t(order_[0])]);
    weight_.resize(size_t(count));
    double total = 0;
    for (size_t i = 0; i < size_t(count); ++i) {
        weight_[i] = std::exp((double(logits[size_t(order_[i])]) - highest) / options_.temperature);
        total += weight_[i];
    }
    double kept = 0;
    size_t last = 0;
    while (last < size_t(count) && (last == 0 || (kept < options_.top_p * total && weight_[last] >= options_.min_p))) {
        kept += weight_[last];
        ++last;
    }
    Race race(combine_key(key_, drawn_));
    for (size_t i = 0; i < last; ++i) race.enter(order_[i], weight_[i]);
    return race.first();
}

void check_finite(std::span<const float> logits) {
    const bool numbers = std::none_of(logits.begin(), logits.end(), [](float value) { return std::isnan(value); });
    if (!numbers || !std::isfinite(*std::max_element(logits.begin(), logits.end())))
        fail({.kind = ErrorKind::diverged,
              .what = "the model's logits are not finite",
              .hint = "take an earlier checkpoint"});
}

double log_total(std::span<const float> logits) {
    const double highest = *std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (const float logit : logits) total += std::exp(double(logit) - highest);
    return highest + std::log(total);
}

double log_probability(std::span<const float> logits, int64_t token) {
    return double(logits[size_t(token)]) - log_total(logits);
}

std::vector<TokenProbability> likeliest(std::span<const float> logits, int64_t count) {
    count = std::min(count, int64_t(logits.size()));
    std::vector<int64_t> order;
    sort_likeliest(logits, count, order);
    const double total = count > 0 ? log_total(logits) : 0;
    std::vector<TokenProbability> list;
    for (int64_t i = 0; i < count; ++i)
        list.push_back({order[size_t(i)], double(logits[size_t(order[size_t(i)])]) - total});
    return list;
}

}  // namespace lithe

#include "lithe/model/generate.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lithe/base/file.h"
#include "lithe/base/rng.h"
#include "lithe/base/wording.h"
#include "lithe/model/step_model.h"

namespace lithe {
namespace {

// Reads a prompt by forward passes and single tokens by steps, and keeps the logits of the last position.
class Reader {
 public:
    Reader(const LanguageModel& model, const SamplingOptions& options)
        : model_(model),
          options_(options),
          pass_(model.pass(false)) {
        pass_.keep_projections = options.cache;
        pass_.memory = options.memory > 0 ? options.memory : model.config().memory;
        if (pass_.memory == 0) pass_.memory = model.max_positions() > 0 ? model.max_positions() : options.segment;
        if (options.steps && options.cache)
            step_ = StepModel::make(
                model, {.memory = pass_.memory,
                        .threads = StepModel::worthwhile_threads(model, at::get_num_threads(), options.int8),
                        .int8 = options.int8});
        if (options.int8 && !step_)
            fail_usage("this model has no single steps, and int8 weights need them", option("precision"));
    }

    const float* step(int64_t token) {
        if (!step_) return read({token});
        if (!loaded_) step_->load(state_, position_);
        loaded_ = true;
        ++position_;
        return step_->next(token);
    }

    const float* read(const std::vector<int64_t>& tokens) {
        loaded_ = false;
        for (size_t at = 0; at < tokens.size(); at += size_t(options_.segment)) {
            auto count = int64_t(std::min(tokens.size() - at, size_t(options_.segment)));
            Tensor ids = at::empty({count, 1}, at::kLong);
            std::copy_n(tokens.begin() + int64_t(at), count, ids.data_ptr<int64_t>());
            if (model_.max_positions() > 0)
                pass_.position_B = at::full({1}, position_, at::TensorOptions(at::kLong).device(model_.device()));
            auto out = model_.forward(ids.to(model_.device()), state_, pass_);
            state_ = std::move(out.state);
            position_ += count;
            logits_ = out.logits_TBV[count - 1][0].to(at::kCPU, at::kFloat).contiguous();
        }
        return logits_.data_ptr<float>();
    }

    // Absolute positions are used up: start anew from the last half of what was seen.
    bool full() const { return model_.max_positions() > 0 && position_ >= model_.max_positions(); }
    void restart() {
        state_ = State();
        position_ = 0;
    }

 private:
    const LanguageModel& model_;
    SamplingOptions options_;
    Pass pass_;
    State state_;
    Tensor logits_;
    int64_t position_ = 0;
    std::unique_ptr<StepModel> step_;
    bool loaded_ = false;  // the steps go on from where the last forward pass ended
};

std::vector<int64_t> last_half(const std::vector<int64_t>& seen, int64_t positions) {
    size_t count = std::min(seen.size(), size_t(std::max<int64_t>(1, positions / 2)));
    return {seen.end() - int64_t(count), seen.end()};
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options, const std::vector<int64_t>& prompt)
    : options_(options),
      key_(combine_key(combine_key(options.seed, "sample"),
                       hash_bytes({reinterpret_cast<const char*>(prompt.data()), prompt.size() * sizeof(int64_t)}))) {}

int64_t Sampler::draw(const float* logits, int64_t size, uint64_t index) {
    const float* highest = std::max_element(logits, logits + size);
    const bool finite = std::all_of(logits, logits + size, [](float value) { return !std::isnan(value); });
    if (!finite || !std::isfinite(*highest))
        fail({.kind = ErrorKind::diverged,
              .what = "the model's logits are not finite",
              .hint = "take an earlier checkpoint"});
    if (options_.temperature <= 0) return highest - logits;
    const double share = random_unit(key_, index);
    const bool all = options_.top_k <= 0 && options_.top_p >= 1;
    return all ? draw_from_all(logits, size, *highest, share) : draw_from_likeliest(logits, size, share);
}

int64_t Sampler::draw_from_all(const float* logits, int64_t size, float highest, double share) {
    weight_.resize(size_t(size));
    double total = 0;
    for (int64_t i = 0; i < size; ++i)
        total += weight_[size_t(i)] = std::exp((double(logits[i]) - double(highest)) / options_.temperature);
    double left = share * total;
    for (int64_t i = 0; i < size; ++i)
        if ((left -= weight_[size_t(i)]) < 0) return i;
    return std::max_element(logits, logits + size) - logits;  // rounding left something over
}

// Ties are broken by the smaller id.
int64_t Sampler::draw_from_likeliest(const float* logits, int64_t size, double share) {
    order_.resize(size_t(size));
    std::iota(order_.begin(), order_.end(), int64_t(0));
    const int64_t count = options_.top_k > 0 ? std::min(size, options_.top_k) : size;
    std::partial_sort(order_.begin(), order_.begin() + count, order_.end(),
                      [&](int64_t a, int64_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
    weight_.resize(size_t(count));
    double total = 0;
    for (size_t i = 0; i < size_t(count); ++i)
        total += weight_[i] = std::exp((double(logits[order_[i]]) - double(logits[order_[0]])) / options_.temperature);
    double kept = 0;
    size_t last = 0;
    while (last < size_t(count) && (last == 0 || kept < options_.top_p * total)) kept += weight_[last++];
    double left = share * kept;
    for (size_t i = 0; i < last; ++i)
        if ((left -= weight_[i]) < 0) return order_[i];
    return order_[last - 1];
}

std::vector<int64_t> generate(const LanguageModel& model, const std::vector<int64_t>& prompt,
                              const SamplingOptions& options, const std::function<bool(int64_t)>& use) {
    at::NoGradGuard no_grad;
    if (model.config().direction == "bidirectional")
        fail_usage("an encoder fills gaps and does not continue a text", "model.direction");
    if (model.has_encoder())
        fail_usage("the model writes a text from another, and there is no command for that yet", "model.encoder",
                   "lithe eval scores it on pairs");
    if (prompt.empty()) fail_usage("the prompt is empty: at least one token is needed", option("prompt"));
    for (int64_t id : prompt)
        if (id < 0 || id >= model.vocabulary_size())
            fail_usage("prompt token " + std::to_string(id) + " is outside the vocabulary of " +
                           std::to_string(model.vocabulary_size()),
                       option("prompt"));
    Reader reader(model, options);
    const int64_t positions = model.max_positions();
    std::vector<int64_t> seen = positions > 0 && int64_t(prompt.size()) >= positions ? last_half(prompt, positions)
                                                                                     : prompt,
                         made;
    Sampler sampler(options, prompt);
    made.reserve(size_t(std::clamp<int64_t>(options.tokens, 0, 1 << 20)));
    const float* logits = reader.read(seen);
    while (int64_t(made.size()) < options.tokens && !options.stop.stop_requested()) {
        const int64_t token = sampler.draw(logits, model.vocabulary_size(), made.size());
        if (token == options.end) break;
        made.push_back(token);
        seen.push_back(token);
        if (!use(token) || int64_t(made.size()) == options.tokens) break;
        if (reader.full()) {
            reader.restart();
            logits = reader.read(last_half(seen, positions));
        } else {
            logits = reader.step(token);
        }
    }
    return made;
}

}  // namespace lithe

#include "lithe/model/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lithe/base/rng.h"
#include "lithe/base/stop.h"

namespace lithe {
namespace {

// Reads a prompt or one token and keeps the logits of the last position.
class Reader {
 public:
    Reader(const LanguageModel& model, const SamplingOptions& options)
        : model_(model),
          options_(options),
          context_(model.context(false)) {
        context_.keep_projections = options.cache;
        context_.memory = options.memory > 0 ? options.memory : model.config().memory;
        if (context_.memory == 0) context_.memory = model.max_positions() > 0 ? model.max_positions() : options.segment;
    }

    Tensor read(const std::vector<int64_t>& tokens) {
        Tensor logits;
        for (size_t at = 0; at < tokens.size(); at += size_t(options_.segment)) {
            auto count = int64_t(std::min(tokens.size() - at, size_t(options_.segment)));
            Tensor ids = at::empty({count, 1}, at::kLong);
            std::copy_n(tokens.begin() + int64_t(at), count, ids.data_ptr<int64_t>());
            if (model_.max_positions() > 0)
                context_.position_B = at::full({1}, position_, at::TensorOptions(at::kLong).device(model_.device()));
            auto out = model_.forward(ids.to(model_.device()), state_, context_);
            state_ = std::move(out.state);
            position_ += count;
            logits = out.logits_TBV[count - 1][0].to(at::kCPU, at::kFloat);
        }
        return logits;
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
    Context context_;
    State state_;
    int64_t position_ = 0;
};

std::vector<int64_t> last_half(const std::vector<int64_t>& seen, int64_t positions) {
    size_t count = std::min(seen.size(), size_t(std::max<int64_t>(1, positions / 2)));
    return {seen.end() - int64_t(count), seen.end()};
}

}  // namespace

int64_t sample_token(const Tensor& logits_V, const SamplingOptions& options, uint64_t index) {
    Tensor logits = logits_V.contiguous();
    const float* values = logits.data_ptr<float>();
    const auto size = size_t(logits.numel());
    std::vector<size_t> order(size);
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
    if (!std::isfinite(values[order[0]]))
        fail({.code = ExitCode::diverged,
              .what = "the model's logits are not finite",
              .hint = "take an earlier checkpoint"});
    if (options.temperature <= 0) return int64_t(order[0]);
    size_t count = options.top_k > 0 ? std::min(size, size_t(options.top_k)) : size;
    std::vector<double> weight(count);
    double total = 0;
    for (size_t i = 0; i < count; ++i)
        total += weight[i] = std::exp((double(values[order[i]]) - double(values[order[0]])) / options.temperature);
    double kept = 0;
    size_t last = 0;
    while (last < count && (last == 0 || kept < options.top_p * total)) kept += weight[last++];
    double draw = random_unit(combine_key(options.seed, "sample"), index) * kept;
    for (size_t i = 0; i < last; ++i)
        if ((draw -= weight[i]) < 0) return int64_t(order[i]);
    return int64_t(order[last - 1]);
}

std::vector<int64_t> generate(const LanguageModel& model, const std::vector<int64_t>& prompt,
                              const SamplingOptions& options, const std::function<bool(int64_t)>& use) {
    at::NoGradGuard no_grad;
    if (prompt.empty()) fail_usage("the prompt is empty: at least one token is needed", "--prompt");
    for (int64_t id : prompt)
        if (id < 0 || id >= model.vocabulary_size())
            fail_usage("prompt token " + std::to_string(id) + " is outside the vocabulary of " +
                           std::to_string(model.vocabulary_size()),
                       "--prompt");
    Reader reader(model, options);
    const int64_t positions = model.max_positions();
    std::vector<int64_t> seen = positions > 0 && int64_t(prompt.size()) >= positions ? last_half(prompt, positions)
                                                                                     : prompt,
                         made;
    Tensor logits = reader.read(seen);
    while (int64_t(made.size()) < options.tokens && !stop_requested()) {
        int64_t token = sample_token(logits, options, made.size());
        made.push_back(token);
        seen.push_back(token);
        if (!use(token) || int64_t(made.size()) == options.tokens) break;
        if (reader.full()) {
            reader.restart();
            logits = reader.read(last_half(seen, positions));
        } else {
            logits = reader.read({token});
        }
    }
    return made;
}

}  // namespace lithe

#include "lithe/train/hooks/metrics_hook.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"

namespace lithe {

void MetricsHook::after_update(const StepDone& done) {
    if (done.update.finite())
        recent_loss_ += (done.update.loss - recent_loss_) * std::max(0.05, 1.0 / double(++recent_steps_));
    last_ = done;
    if (run_.state.step % run_.config.train.log_every == 0 || run_.state.step == 1) record(done);
    show(done);
}

void MetricsHook::last_step_made() {
    const TrainerState& state = run_.state;
    if (run_.session_tokens == 0 || recorded_step_ == state.step) return;
    if (last_ && last_->decision.number == state.step) return record(*last_);
    recorded_step_ = state.step;  // a step that was another hook's
    run_.folder->metrics({{"step", state.step}, {"tokens", state.tokens}, {"seconds", state.train_seconds}});
}

void MetricsHook::record(const StepDone& done) {
    const TrainerState& state = run_.state;
    recorded_step_ = state.step;
    const double loss = done.update.loss, speed = double(done.tokens) / done.seconds;
    nlohmann::ordered_json line = {{"step", state.step},
                                   {"tokens", state.tokens},
                                   {"seconds", state.train_seconds},
                                   {"loss", loss},
                                   {"learning_rate", done.decision.learning_rate},
                                   {"gradient_norm", done.update.gradient_norm},
                                   {"tokens_per_second", speed},
                                   {"gflops", speed * run_.cost.training_flops_per_token / 1e9},
                                   {"epoch", state.data.epoch},
                                   {"data_wait_seconds", run_.session_wait},
                                   {"peak_rss_bytes", peak_memory()}};
    if (done.update.terms.size() > 1) line["terms"] = done.update.terms;
    for (const auto& [name, metric] : done.update.metrics) line["blocks"][name] = metric.mean();
    if (state.joules >= 0) line["joules"] = state.joules;
    run_.folder->metrics(line);
    EventWriter& events = run_.folder->events();
    events.scalar(state.step, "train/loss", loss);
    if (run_.objective->loss_is_cross_entropy())
        events.scalar(state.step, "train/bits_per_byte", loss / std::numbers::ln2 / run_.train_bytes_per_token);
    events.scalar(state.step, "optim/learning_rate", done.decision.learning_rate);
    events.scalar(state.step, "optim/gradient_norm", done.update.gradient_norm);
    events.scalar(state.step, "perf/tokens_per_second", speed);
}

void MetricsHook::show(const StepDone& done) {
    const double elapsed = since_start_.seconds(), every = stderr_is_terminal() ? 0.5 : 15;
    if (elapsed - shown_ < every && shown_ > 0) return;
    shown_ = elapsed;
    const TrainConfig& t = run_.config.train;
    const TrainerState& state = run_.state;
    const double tokens = double(run_.session_tokens), speed = tokens / std::max(1e-9, run_.session_seconds);
    double left = INFINITY;
    if (t.max_steps > 0)
        left = std::min(left, double(t.max_steps - state.step) * run_.session_seconds /
                                  double(std::max<int64_t>(1, run_.session_steps)));
    if (t.max_tokens > 0) left = std::min(left, double(t.max_tokens - state.tokens) / speed);
    if (t.max_seconds > 0) left = std::min(left, t.max_seconds - state.train_seconds);
    const double bits = recent_loss_ / std::numbers::ln2 / run_.train_bytes_per_token;
    std::string text = fmt::format("step {}  {} tokens  loss {:.3f}", state.step, format_count(double(state.tokens)),
                                   done.update.loss);
    if (run_.objective->loss_is_cross_entropy()) text += fmt::format("  bits/byte {:.3f}", bits);
    text += fmt::format("  rate {:.2e}  {} tokens/s", done.decision.learning_rate, format_count(speed));
    if (std::isfinite(left)) text += "  " + format_seconds(left) + " left";
    if (stderr_is_terminal()) log_progress(text);
    else log_info(text);
}

}  // namespace lithe

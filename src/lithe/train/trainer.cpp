#include "lithe/train/trainer.h"

#include <fmt/format.h>

#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/train/train_loop.h"

namespace lithe {

static std::string why_finished(const std::string& stopped_by) {
    const std::string other = "start another with " + option("run");
    if (stopped_by == "early_stop")
        return "the run had stopped early already (train.patience); raise it to go on, or " + other;
    if (stopped_by == "settled") return "the search's choices had settled already; " + other;
    return "the run had reached its budget already; raise it to go on, or " + other;
}

// Chooses how activations are recomputed, and says what that saves and costs; "" where all are kept.
std::string Trainer::settle_recompute(int working_bytes) {
    TrainRun& r = *run_;
    const Recompute recompute = choose_recompute(*r.model, r.config, working_bytes);
    r.config.train.recompute = to_string(recompute);
    r.model->set_recompute(recompute, cost_shape(r.config));
    if (recompute.method == RecomputeMethod::none) return "";
    Config plain = r.config;
    plain.train.recompute = "none";
    const double again = recomputed_flops_per_token(*r.model, r.config, recompute) -
                         recomputed_flops_per_token(*r.model, plain, {});  // of reversible runs
    return fmt::format("recompute  {}: {:.0f} % more operations; without it {}", to_string(recompute),
                       100 * again / r.cost.training_flops_per_token,
                       format_bytes(estimate_memory(*r.model, plain, working_bytes).total()));
}

Trainer::~Trainer() { set_log_file(""); }

TrainResult Trainer::run() {
    while (step()) {}
    return finish();
}

bool Trainer::step() {
    if (run_->options.dry_run) stopped_by_ = "dry_run";
    const int64_t before = run_->state.step;
    while (stopped_by_.empty() && run_->state.step == before) stopped_by_ = loop_->next();
    return stopped_by_.empty();
}

bool Trainer::writes_text() const { return run_->continues_text(); }

const TrainerState& Trainer::state() const { return run_->state; }

int Trainer::threads() const { return run_->machine.threads; }

std::optional<EvaluationResult> Trainer::evaluate() {
    for (const auto& hook : run_->hooks) hook->before_evaluation();
    const AveragedWeights averaged(*run_);
    return run_->evaluate_valid();
}

TrainResult Trainer::finish() {
    TrainRun& r = *run_;
    TrainResult result;
    result.run = r.options.run;
    result.parameters = r.cost.parameters;
    result.expected_memory = r.memory.total();
    result.training_flops_per_token = r.cost.training_flops_per_token;
    result.stopped_by = stopped_by_;
    if (r.options.dry_run) return result;
    log_progress("");
    if (r.session_tokens == 0 && result.stopped_by != "signal") {
        log_info("finished   " + why_finished(result.stopped_by));
        const AveragedWeights averaged(r);
        if (!r.valid && r.corpus.has("valid")) r.valid = r.evaluate_valid();
    }
    for (const auto& hook : r.hooks) hook->at_end(result);
    if (r.changed && !save(false))
        fail({.kind = ErrorKind::resources,
              .what = "the last checkpoint could not be written",
              .where = r.folder->path(),
              .hint = "free some space and resume; " + r.last_checkpoint()});
    result.state = r.state;
    result.valid = r.valid;
    result.tokens_per_second = r.session_seconds > 0 ? double(r.session_tokens) / r.session_seconds : 0;
    result.gflops = result.tokens_per_second * r.cost.training_flops_per_token / 1e9;
    return result;
}

}  // namespace lithe

#include "lithe/train/hooks/evaluation_hook.h"

#include <cmath>
#include <cstdio>

#include "lithe/base/log.h"
#include "lithe/base/text.h"

namespace lithe {

bool EvaluationHook::between_steps() { return !due() || evaluate(); }

bool EvaluationHook::due() const {
    const TrainerState& state = run_.state;
    if (state.evaluated_step == state.step || !run_.corpus.has("valid")) return false;
    const EvaluationConfig& e = run_.config.evaluation;
    if (!run_.reached().empty()) return true;
    if (e.every > 0 && state.step > 0 && state.step % e.every == 0) return true;
    return e.every_seconds > 0 && state.train_seconds - state.evaluated_seconds >= e.every_seconds;
}

// False when a stop was asked for before the end.
bool EvaluationHook::evaluate() {
    TrainerState& state = run_.state;
    for (const auto& hook : run_.hooks) hook->before_evaluation();
    std::optional<EvaluationResult> result;
    {
        const AveragedWeights averaged(run_);
        result = run_.evaluate_valid();
    }
    if (!result) return false;
    run_.valid = result;
    run_.changed = true;
    state.evaluated_step = state.step;
    state.evaluated_seconds = state.train_seconds;
    ++state.evaluations;
    const bool first = state.best_step < 0;
    const bool best = std::isfinite(result->score.value) && (first || result->score.better_than(state.best_score));
    if (best) {
        state.best_score = result->score.value;
        state.best_step = state.step;
        state.without_best = 0;
    } else {
        ++state.without_best;
    }
    record(*result, best);
    const TrainConfig& train = run_.config.train;
    if (train.patience > 0 && state.without_best >= train.patience) state.stopped_early = true;
    if (best) run_.save(true);
    for (const auto& hook : run_.hooks) hook->after_evaluation(*result);
    return true;
}

void EvaluationHook::record(const EvaluationResult& result, bool best) {
    const TrainerState& state = run_.state;
    char text[160];
    std::snprintf(text, sizeof text, "valid      step %lld  %.4f %s, perplexity %.3f, %s tokens%s",
                  static_cast<long long>(state.step), result.score.value, result.score.unit.c_str(), result.perplexity,
                  format_count(double(result.tokens)).c_str(), best ? "  (best)" : "");
    log_info(text + unspoken_text(result));
    run_.folder->metrics({{"step", state.step},
                          {"tokens", state.tokens},
                          {"seconds", state.train_seconds},
                          {"valid", to_json(result, true)}});
    run_.folder->events().scalar(state.step, "valid/" + result.score.name, result.score.value);
    run_.folder->events().scalar(state.step, "valid/loss", result.loss);
    if (run_.options.on_evaluation) run_.options.on_evaluation(result, state, run_.progress());
}

}  // namespace lithe

#include "lithe/train/hooks/evaluation_hook.h"

#include <fmt/format.h>
#include <cmath>

#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"

namespace lithe {

bool EvaluationHook::between_steps() { return !due() || evaluate(); }

bool EvaluationHook::due() const {
    const TrainerState& state = run_.state;
    if (evaluated_step_ == state.step || !run_.corpus.has("valid")) return false;
    const EvaluationConfig& e = run_.config.evaluation;
    if (!run_.reached().empty()) return true;
    if (e.every > 0 && state.step > 0 && state.step % e.every == 0) return true;
    return e.every_seconds > 0 && state.train_seconds - evaluated_seconds_ >= e.every_seconds;
}

// False when a stop was asked for before the end.
bool EvaluationHook::evaluate() {
    const TrainerState& state = run_.state;
    for (const auto& hook : run_.hooks) hook->before_evaluation();
    std::optional<EvaluationResult> result;
    {
        const AveragedWeights averaged(run_);
        result = run_.evaluate_valid();
    }
    if (!result) return false;
    run_.valid = result;
    run_.changed = true;
    evaluated_step_ = state.step;
    evaluated_seconds_ = state.train_seconds;
    ++evaluations_;
    const bool best = is_best(result->score);
    keep_best(result->score, best);
    record(*result, best);
    if (out_of_patience()) stopped_early_ = true;
    if (best) run_.save(true);
    for (const auto& hook : run_.hooks) hook->after_evaluation(*result, evaluations_);
    return true;
}

bool EvaluationHook::is_best(const Score& score) const {
    return std::isfinite(score.value) && (best_step_ < 0 || score.kind.better(score.value, best_score_));
}

void EvaluationHook::keep_best(const Score& score, bool best) {
    if (!best) {
        ++without_best_;
        return;
    }
    best_score_ = score.value;
    best_step_ = run_.state.step;
    without_best_ = 0;
}

bool EvaluationHook::out_of_patience() const {
    const int64_t patience = run_.config.train.patience;
    return patience > 0 && without_best_ >= patience;
}

std::unique_ptr<CheckpointPart> EvaluationHook::checkpoint_part() {
    const auto save = [this] {
        return nlohmann::ordered_json{{"step", evaluated_step_},     {"train_seconds", evaluated_seconds_},
                                      {"evaluations", evaluations_}, {"without_best", without_best_},
                                      {"best_score", best_score_},   {"best_step", best_step_}};
    };
    const auto load = [this](const nlohmann::json& state) {
        evaluated_step_ = whole(state.at("step"));
        evaluated_seconds_ = state.at("train_seconds");
        evaluations_ = whole(state.at("evaluations"));
        without_best_ = whole(state.at("without_best"));
        best_score_ = state.at("best_score");
        best_step_ = whole(state.at("best_step"));
        stopped_early_ = out_of_patience();  // another patience may be meant now
    };
    return checkpoint_part_of("evaluation", save, load);
}

void EvaluationHook::at_end(TrainResult& result) {
    if (best_step_ < 0) return;
    result.best = Score{run_.objective->score_kind(), best_score_};
    result.best_step = best_step_;
}

void EvaluationHook::record(const EvaluationResult& result, bool best) {
    const TrainerState& state = run_.state;
    log_info(fmt::format("valid      step {}  {:.4f} {}, {}{}{}", state.step, result.score.value,
                         result.score.kind.unit, figures_text(result), best ? "  (best)" : "", unspoken_text(result)));
    run_.folder->metrics({{"step", state.step},
                          {"tokens", state.tokens},
                          {"seconds", state.train_seconds},
                          {"valid", to_json(result, true)}});
    run_.folder->events().scalar(state.step, "valid/" + result.score.kind.name, result.score.value);
    run_.folder->events().scalar(state.step, "valid/loss", result.loss);
    if (run_.options.on_evaluation) run_.options.on_evaluation(result, state, run_.progress());
}

}  // namespace lithe

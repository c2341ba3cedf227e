#include "lithe/train/hooks/failure_hook.h"

#include <cmath>

#include "lithe/base/json.h"
#include "lithe/base/log.h"

namespace lithe {

std::unique_ptr<CheckpointPart> FailureHook::checkpoint_part() {
    return checkpoint_part_of(
        "failures",
        [this] {
            return nlohmann::ordered_json{{"skipped", skipped_}, {"skipped_in_row", skipped_in_row_}};
        },
        [this](const nlohmann::json& state) {
            skipped_ = whole(state.at("skipped"));
            skipped_in_row_ = whole(state.at("skipped_in_row"));
        });
}

// What to do about numbers that are not finite.
static std::string calmer(const OptimizerConfig& optimizer) {
    return "lower optimizer.learning_rate or " +
           std::string(optimizer.clip_norm > 0 ? "optimizer.clip_norm"
                                               : "set optimizer.clip_norm = 1 (0 does not limit the gradient)");
}

void FailureHook::not_finite(const StepDecision& decision, const Update& update) {
    const TrainerState& state = run_.state;
    const TrainConfig& train = run_.config.train;
    const std::string what =
        "step " + std::to_string(decision.number) + ": the " + (std::isfinite(update.loss) ? "gradient" : "loss") +
        " is not finite (epoch " + std::to_string(state.data.epoch) +
        (run_.objective->reads_pairs() ? ", batch " + std::to_string(state.data.at) + ")"
                                       : ", token " + std::to_string(state.data.at) + " of each stream)");
    const bool skips = train.non_finite == NonFinite::skip;
    if (!skips || ++skipped_in_row_ > train.non_finite_limit)
        fail({.kind = ErrorKind::diverged,
              .what = what,
              .where = run_.folder->path(),
              .hint = calmer(run_.config.optimizer) + "; " + run_.last_checkpoint() +
                      (skips ? "; " + std::to_string(train.non_finite_limit) +
                                   " updates in a row were left out before (train.non_finite_limit)"
                             : "; train.non_finite = \"skip\" leaves such updates out")});
    log_warning(what + ": the update is left out");
    ++skipped_;
}

void FailureHook::after_update(const StepDone& done) {
    if (done.update.finite()) skipped_in_row_ = 0;
}

}  // namespace lithe

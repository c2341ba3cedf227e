#include "lithe/train/hooks/search_hook.h"

#include <cmath>

#include "lithe/base/rng.h"

namespace lithe {

SearchHook::SearchHook(TrainRun& run, std::unique_ptr<Prefetcher> held_out)
    : TrainHook(run),
      steps_(run.config, *run.objective, run.models, std::move(held_out)) {
    if (run.options.costs) steps_.architecture().set_costs(*run.options.costs);
}

std::unique_ptr<CheckpointPart> SearchHook::checkpoint_part() {
    return checkpoint_part_of(steps_, run_.machine.device, run_.machine.working);
}

std::optional<int64_t> SearchHook::take_turn() {
    const TrainerState& state = run_.state;
    const double progress = run_.progress();
    if (!steps_.turn_of_choices(state.step, progress)) return std::nullopt;
    const uint64_t key = combine_key(combine_key(uint64_t(run_.config.train.seed), "choices"), uint64_t(state.step));
    Prefetcher& feeder = steps_.held_out() ? *steps_.held_out() : *run_.feeder;
    State& carried = steps_.held_out() ? steps_.carried() : run_.step->carried().front();
    Batch batch;
    run_.next_batch(feeder, key, 0, batch);
    if (batch.begins) carried = State();
    const double loss = steps_.update_choices(batch, key, progress, carried);
    if (!std::isfinite(loss))
        fail({.kind = ErrorKind::diverged,
              .what = "step " + std::to_string(state.step + 1) + ": the loss of the choices is not finite",
              .where = run_.folder->path(),
              .hint = "lower optimizer.learning_rate or search.learning_rate"});
    steps_.note_choices(progress);
    if (steps_.architecture().updates() % run_.config.train.log_every == 0) {
        nlohmann::ordered_json line = {{"step", state.step + 1}, {"seconds", state.train_seconds}, {"loss", loss}};
        line.update(steps_.record(progress));
        run_.folder->choices(line);
    }
    return batch.tokens;
}

void SearchHook::before_update(const StepDecision& decision) { steps_.draw_weights(decision.key, run_.progress()); }

void SearchHook::at_end(TrainResult& result) { result.choices = steps_.architecture().within_budget(); }

}  // namespace lithe

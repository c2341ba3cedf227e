// What happens around the updates of a run, a class each: search, evaluation, samples, saving, budgets, records, what
// to do about numbers that are not finite. The loop knows none of them.
#pragma once

#include "lithe/train/train_run.h"

namespace lithe {

// What was decided of a step before it is made.
struct StepDecision {
    int64_t number = 0;  // from 1
    uint64_t key = 0;    // of what is drawn
    double learning_rate = 0;
};

// An update of the weights that was made.
struct StepDone {
    StepDecision decision;
    Update update;
    int64_t tokens = 0;
    double seconds = 0;
};

class TrainHook {
 public:
    // The run must outlive its hooks.
    explicit TrainHook(TrainRun& run) : run_(run) {}
    virtual ~TrainHook() = default;
    // Its own part of checkpoints; null: none.
    virtual std::unique_ptr<CheckpointPart> checkpoint_part() { return nullptr; }

    // Between two steps: does what is due. False: the round ends here, for a stop was asked for.
    virtual bool between_steps() { return true; }
    // What ends the run: "steps", "early_stop" ...; "": nothing.
    virtual std::string reached() const { return ""; }
    // Makes a step of its own, with its own data; returns its tokens. nullopt: it is another's turn.
    virtual std::optional<int64_t> take_turn() { return std::nullopt; }
    // Before an update of the weights: what the models' passes are to have.
    virtual void before_update(const StepDecision&) {}
    // Loss or gradient were not finite, and nothing was changed: may throw.
    virtual void not_finite(const StepDecision&, const Update&) {}
    // Behind an update, whose step is counted.
    virtual void after_update(const StepDone&) {}
    // The last step of the session is made: a stop was asked for, or the run has ended. May come several times.
    virtual void last_step_made() {}
    virtual void before_evaluation() {}
    // `number`: how many evaluations the run has had with this one.
    virtual void after_evaluation(const EvaluationResult&, int64_t /*number*/) {}
    virtual void before_saving() {}
    // When the loop has ended.
    virtual void at_end(TrainResult&) {}

 protected:
    TrainRun& run_;
};

}  // namespace lithe

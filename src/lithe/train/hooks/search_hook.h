// The steps of a search's choices among those of the weights (train/search_steps.h).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class SearchHook : public TrainHook {
 public:
    // `held_out`: feeds the choices; null: they go on in the text of the weights.
    SearchHook(TrainRun& run, std::unique_ptr<Prefetcher> held_out);
    std::unique_ptr<CheckpointPart> checkpoint_part() override;
    std::string reached() const override { return steps_.progress().settled ? "settled" : ""; }
    std::optional<int64_t> take_turn() override;
    void before_update(const StepDecision& decision) override;
    void before_evaluation() override { steps_.run_likeliest(); }
    void at_end(TrainResult& result) override;

 private:
    SearchSteps steps_;
};

}  // namespace lithe

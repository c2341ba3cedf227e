// Scores the validation text when it is due, keeps the best, and stops where nothing gets better (train.patience).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class EvaluationHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    bool between_steps() override;
    std::string reached() const override { return run_.state.stopped_early ? "early_stop" : ""; }

 private:
    bool due() const;
    bool evaluate();
    void record(const EvaluationResult& result, bool best);
};

}  // namespace lithe

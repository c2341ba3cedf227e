// Scores the validation text when it is due, keeps the best, and stops where nothing gets better (train.patience).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class EvaluationHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    bool between_steps() override;
    std::string reached() const override { return stopped_early_ ? "early_stop" : ""; }
    std::unique_ptr<CheckpointPart> checkpoint_part() override;
    void at_end(TrainResult& result) override;

 private:
    bool due() const;
    bool evaluate();
    bool is_best(const Score& score) const;
    void keep_best(const Score& score, bool best);
    void record(const EvaluationResult& result, bool best);
    bool out_of_patience() const;

    int64_t evaluated_step_ = -1;   // the step whose evaluation is done
    double evaluated_seconds_ = 0;  // training time then
    int64_t evaluations_ = 0, without_best_ = 0;
    int64_t best_step_ = -1;
    double best_score_ = 0;  // of that step
    bool stopped_early_ = false;
};

}  // namespace lithe

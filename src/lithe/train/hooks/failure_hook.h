// What to do about an update whose loss or gradient is not finite (train.non_finite).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class FailureHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    std::unique_ptr<CheckpointPart> checkpoint_part() override;
    // Throws `diverged` unless such updates are to be left out.
    void not_finite(const StepDecision& decision, const Update& update) override;
    void after_update(const StepDone& done) override;
    void at_end(TrainResult& result) override { result.skipped = skipped_; }

 private:
    int64_t skipped_ = 0, skipped_in_row_ = 0;  // updates left out
};

}  // namespace lithe

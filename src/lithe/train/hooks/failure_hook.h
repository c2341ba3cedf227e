// What to do about an update whose loss or gradient is not finite (train.non_finite).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class FailureHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    // Throws `diverged` unless such updates are to be left out.
    void not_finite(const StepDecision& decision, const Update& update) override;
    void after_update(const StepDone& done) override;
};

}  // namespace lithe

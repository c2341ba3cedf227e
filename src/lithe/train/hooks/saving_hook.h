// Saves checkpoints when they are due (section [checkpoint]).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class SavingHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    bool between_steps() override;
    void before_saving() override { since_save_.restart(); }

 private:
    Timer since_save_;
};

}  // namespace lithe

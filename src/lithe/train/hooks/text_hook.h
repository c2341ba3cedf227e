// Tells when the text changes while a run is trained on it.
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class TextHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    void before_saving() override { look(); }
    void at_end(TrainResult&) override { look(); }

 private:
    void look();
};

}  // namespace lithe

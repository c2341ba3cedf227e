// Texts that the model writes after evaluations (section [sample]).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class SampleHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    void after_evaluation(const EvaluationResult& result) override;

 private:
    void write();
};

}  // namespace lithe

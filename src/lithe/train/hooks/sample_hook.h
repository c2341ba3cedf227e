// Texts that the model writes after evaluations (section [sample]).
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class SampleHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    void after_evaluation(const EvaluationResult& result, int64_t number) override;

 private:
    void write();
    void go_on();
    void translate();
};

}  // namespace lithe

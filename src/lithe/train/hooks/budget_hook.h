// Budgets in steps, tokens and time.
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class BudgetHook : public TrainHook {
 public:
    // Says at once, or when it comes to that, that a text is read more than once through n-grams that learn it by heart
    // (docs/planner.md).
    explicit BudgetHook(TrainRun& run);
    std::string reached() const override;
    void after_update(const StepDone& done) override;

 private:
    int64_t readable_tokens_;  // before the text is learned by heart
};

}  // namespace lithe

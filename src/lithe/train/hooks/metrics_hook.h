// Lines of metrics.jsonl, TensorBoard events and the progress line.
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class MetricsHook : public TrainHook {
 public:
    using TrainHook::TrainHook;
    void after_update(const StepDone& done) override;
    // What a run took is read from its metrics: they end with its last step, whatever train.log_every is.
    void last_step_made() override;

 private:
    void record(const StepDone& done);
    void show(const StepDone& done);
    Timer since_start_;
    std::optional<StepDone> last_;
    int64_t recorded_step_ = -1;
    double shown_ = 0;  // when
    double recent_loss_ = 0;
    int64_t recent_steps_ = 0;  // that recent_loss_ has averaged
};

}  // namespace lithe

// The loop of a training run: hooks, then one step, until a hook says that the run has ended.
#pragma once

#include "lithe/train/train_hook.h"

namespace lithe {

class TrainLoop {
 public:
    explicit TrainLoop(TrainRun& run) : run_(run) {}
    // What is due, then one step. Returns what ended the run before it; "signal": a stop was asked for; "": it goes on.
    // What was done is saved before an error of the text is thrown on.
    std::string next();

 private:
    std::string round();
    void step();
    void finish(double seconds, int64_t tokens);
    void keep_what_is_done();
    TrainRun& run_;
    EnergyMeter energy_;
    std::vector<Batch> batches_;  // of an update
};

}  // namespace lithe

// Forward and backward of one micro-batch with carried state, in parts side by side (train/parts.h).
#pragma once

#include "lithe/model/language_model.h"
#include "lithe/train/optimizer.h"
#include "lithe/train/step_graph.h"

namespace lithe {

// How many parts a run's batch is cut into: train.parts, or where that says 0 what pays.
int64_t batch_parts(const Config& config, int threads, at::Device device);

class TrainStep {
 public:
    // `graphs`: on a GPU steps are recorded where the model's work does not depend on the data (train/step_graph.h).
    TrainStep(LanguageModel& model, Optimizer& optimizer, int64_t accumulation, int64_t parts = 1, bool graphs = false);
    bool recorded() const { return graph_ != nullptr; }
    // One micro-batch; `index` of `accumulation`; targets of -1 are not scored. Returns the mean loss in nats.
    double micro_batch(const Tensor& ids_TB, const Tensor& targets_TB, int64_t index, uint64_t dropout_key,
                       const Tensor& flags_TB = {});
    // Before an update, and back to there where it is left out.
    void remember() { before_ = carried_; }
    void take_back();
    // What is carried to the next micro-batch, a state per part, its rows in order.
    std::vector<State>& carried() { return carried_; }
    void carry(const State& all_rows);
    void forget() { carry({}); }

 private:
    Tensor part(const Tensor& ids_TB, const Tensor& targets_TB, const Context& context, State& carried, double tokens,
                double share);
    double play(const Tensor& ids_TB, const Tensor& targets_TB, uint64_t dropout_key);
    void consider_recording(const Tensor& ids_TB, const Tensor& targets_TB, const State& before);

    LanguageModel& model_;
    Optimizer& optimizer_;
    int64_t accumulation_;
    std::vector<State> carried_, before_;
    bool records_;  // on a GPU, once the state's shapes stay
    int64_t steady_ = 0;
    std::unique_ptr<StepGraph> graph_;
};

}  // namespace lithe

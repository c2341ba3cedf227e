// One update: forward and backward over its micro-batches with carried state, in parts side by side
// (objectives/parts.h), and the optimizer's step. Trainer, planner and bench run this and nothing else.
#pragma once

#include "lithe/objectives/objective.h"
#include "lithe/train/optimizer.h"
#include "lithe/train/step_graph.h"

namespace lithe {

// How many parts a run's batch is cut into: train.parts, or where that says 0 what pays.
int64_t batch_parts(const Config& config, int threads, at::Device device);

// The mean of what blocks say of some positions, over all calls in which they were run: of micro-batches, parts, and
// applications of shared weights. A layer that is left out says nothing.
struct MetricMean {
    std::vector<double> sums;
    double positions = 0;
    void add(const std::vector<double>& values, double of);
    void add(const MetricMean& other);
    std::vector<double> mean() const;
};

// What an update was.
struct Update {
    double loss = 0;                            // sum over terms of coefficient x sum / weight
    std::map<std::string, double> terms;        // sum / weight of each
    std::map<std::string, MetricMean> metrics;  // of blocks
    double gradient_norm = 0;                   // before clipping
    bool finite() const;                        // loss and gradient are; else nothing was changed
    void add(const Update& other);              // losses and metrics of other rows of the same update
};

class StepRunner {
 public:
    struct Options {
        int64_t parts = 1;
        // On a GPU, updates of one micro-batch are recorded where the models' work does not depend on the data
        // (train/step_graph.h).
        bool graphs = false;
    };
    // All of these must outlive it.
    StepRunner(const Objective& objective, const Models& models, Optimizer& optimizer, const Options& options);
    StepRunner(const Objective& objective, const Models& models, Optimizer& optimizer)
        : StepRunner(objective, models, optimizer, Options()) {}
    bool recorded() const { return graph_ != nullptr; }

    // Micro-batches are prepared by the objective. Where loss or gradient is not finite, weights, moments and carried
    // state are what they were.
    Update run(const std::vector<Batch>& micro_batches, uint64_t key, double learning_rate);
    // The gradient alone, in the store of the models; `update.gradient_norm` is not computed.
    Update accumulate(const std::vector<Batch>& micro_batches, uint64_t key);

    // What is carried to the next micro-batch, a state per part, its rows in order.
    std::vector<State>& carried() { return carried_; }
    void carry(const State& all_rows);
    void forget() { carry({}); }

 private:
    // Totals of an update, by term; those of blocks' own terms are its positions.
    struct Totals {
        std::map<std::string, double> by_term;
        double positions = 0;
        double of(const std::string& term) const;
    };

    Totals count(const std::vector<Batch>& micro_batches) const;
    Tensor backward(const LossOutput& out, const Totals& totals) const;
    Update micro_batch(const DeviceBatch& batch, const Totals& totals, const DrawKeys& keys);
    Update part(const DeviceBatch& batch, State& carried, const Totals& totals, const DrawKeys& keys);
    bool may_record(const std::vector<Batch>& micro_batches) const;
    void consider_recording(const DeviceBatch& batch, const Totals& totals, const State& before);
    void take_back(const std::vector<State>& before);

    const Objective& objective_;
    const Models& models_;
    ParameterStore& store_;
    Optimizer& optimizer_;
    std::vector<State> carried_;
    bool records_;  // on a GPU, once the state's shapes stay
    int64_t steady_ = 0;
    std::unique_ptr<StepGraph> graph_;
};

}  // namespace lithe

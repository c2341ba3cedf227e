// Adaptive computation time (Graves 2016, "Adaptive Computation Time for Recurrent Neural Networks", section 2), for
// each position on its own as in the Universal Transformer (Dehghani et al. 2019, section 2.2). The repetitions of a
// group are steps, and a position halts when its halting probabilities add up to a threshold.
//
//   s_0 = x,  s_n = step_n(s_{n-1}),  h_n = sigmoid(w . s_n + b)
//   N = the first n with h_1 + ... + h_n >= threshold, the last step at most;   R = 1 - (h_1 + ... + h_{N-1})
//   p_n = h_n for n < N,  p_N = R;   y = sum over n of p_n s_n;   loss: ponder x the mean of N + R
//
// The loss has a gradient by R alone: N is a count. Where a position has halted, its s stays as it is, and the steps of
// others read it so. Every step runs over all positions, so that what a step carries of a text does not depend on who
// has halted.
#pragma once

#include "lithe/model/unit.h"

namespace lithe {

// [blocks.halting]: of all halting runs.
struct HaltingValues {
    double threshold = 0.99;
    double ponder = 0.01;
    double bias = 1;
    static HaltingValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

// Who halts when, position by position.
class Halting {
 public:
    Halting(at::IntArrayRef positions, at::TensorOptions numbers, double threshold);
    // Takes each position's next h. `last`: whoever still runs halts here. Returns the step's p.
    Tensor weights(const Tensor& h, bool last);
    const Tensor& running() const { return running_; }  // bool
    const Tensor& steps() const { return steps_; }      // N so far
    Tensor ponder() const { return steps_ + remainder_; }

 private:
    double threshold_;
    Tensor running_, sum_, remainder_, steps_;
};

// w and b, one pair for all steps.
struct HaltingUnit {
    std::string name;
    Parameter weight, bias;
    HaltingUnit() = default;
    HaltingUnit(ParameterStore& store, const std::string& name, int64_t width, const HaltingValues& values);
};

class HaltingRun : public Unit {
 public:
    HaltingRun(std::vector<std::unique_ptr<Unit>> steps, HaltingUnit unit, const HaltingValues& values)
        : steps_(std::move(steps)),
          unit_(std::move(unit)),
          values_(values) {}
    // The state has a part for each step. Thread-safe where steps are.
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override;
    std::string own_residual() const override { return ""; }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

 private:
    void add_aux(const Halting& halting, const Pass& pass, Aux& aux) const;
    std::vector<std::unique_ptr<Unit>> steps_;
    HaltingUnit unit_;
    HaltingValues values_;
};

}  // namespace lithe

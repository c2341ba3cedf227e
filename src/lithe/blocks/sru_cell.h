// The recurrence part that SRU, SRU++ and projected-linear blocks share: weight_c, bias, skip, dropout mask, carried
// state. reference: Lei et al. 2018, eq. 1-4; sru 3.0.0-dev, SRUCell.
#pragma once

#include "lithe/blocks/recurrent_cell.h"

namespace lithe {

struct SruCellOptions {
    int64_t width = 0;  // D, all directions together
    int directions = 1;
    int planes = 3;    // 4: the skip is a projection of its own
    bool skip = true;  // planes 3: skip from the input, or none
    bool tanh = false;
    double highway_bias = 0;  // initial reset bias
    bool rescale = false;     // alpha = sqrt(1 + 2 exp(highway_bias))
    double dropout = 0;       // mask shared over time, all occurrences but the last
};

class SruCell {
 public:
    SruCell() = default;
    SruCell(ParameterStore& store, const std::string& name, const SruCellOptions& options);

    // u [T][B][directions * planes * d] -> h_TBD; appends the carried c to the state of `out`.
    Tensor run(const Tensor& u, const Tensor& x_TBD, const State& before, const Call& call, BranchOutput& out,
               const UpdateGate& gate = {}) const;
    // u [planes D] and x [D] of one step -> h [D].
    StepOutput add_step(StepProgram& program, const float* u, const float* x) const;
    int planes() const { return options_.planes; }
    int64_t plane_rows() const { return options_.planes * options_.width; }

 private:
    SruCellOptions options_;
    double alpha_ = 1;
    Parameter v_, bias_;
};

}  // namespace lithe

// What kinds with an element-wise recurrence share (kernels/recurrence): the loop over time with the carried c, as
// tensors and as an operation of single steps.
#pragma once

#include "lithe/blocks/update_gate.h"
#include "lithe/ops/recurrence.h"

namespace lithe {

// Runs `in` from the c of `before`, with the call's flags; puts the last c into `out`, and what a gate of updates
// gives. Returns h.
Tensor run_cell(ops::RecurrenceInput in, const UpdateGate& gate, const State& before, const Call& call,
                BranchOutput& out);

// One step of a cell in a program.
struct CellStep {
    kernels::Cell cell = kernels::Cell::sru;
    int64_t width = 0;
    const float* u = nullptr;     // [planes][width] of each row
    const float* x = nullptr;     // [width] of each row, where the cell reads it
    std::vector<Tensor> weights;  // fp32, as ops::RecurrenceInput has them
    double alpha = 1;
    bool whole_start = false;
};
StepOutput add_cell_step(StepProgram& program, const CellStep& step);

}  // namespace lithe

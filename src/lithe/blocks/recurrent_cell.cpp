#include "lithe/blocks/recurrent_cell.h"

namespace lithe {

Tensor run_cell(ops::RecurrenceInput in, const UpdateGate& gate, const State& before, const Call& call,
                BranchOutput& out) {
    if (gate) return gate.run(in, before, call, out);
    in.c0_BD = before.get("c");
    in.flags_TB = call.pass.flags_TB();
    const ops::RecurrenceOutput ran = ops::recurrence(in);
    out.state.put("c", ran.c_BD, 0);
    return ran.h_TBD;
}

StepOutput add_cell_step(StepProgram& program, const CellStep& step) {
    const int64_t width = step.width, u_row = kernels::traits_of(step.cell).planes * width;
    kernels::RecurrenceForward<float> args;
    args.shape = {.cell = step.cell, .steps = 1, .batch = 1, .width = width, .whole_start = step.whole_start};
    int number = 0;
    for (const Tensor& each : step.weights)
        for (int64_t row = 0; row < each.numel() / width; ++row)
            args.w[number++] = each.data_ptr<float>() + row * width;
    args.alpha = float(step.alpha);
    float *c = program.carried(width), *h = program.vector(width);
    // whether the row's document has begun: until then the step is its first
    float* begun = step.whole_start ? program.carried(1) : nullptr;
    program.parts(width, [=, weights = step.weights, u = step.u, x = step.x](int64_t row, int64_t begin, int64_t end) {
        auto now = args;
        now.u = u + row * u_row;
        now.x = x ? x + row * width : nullptr;
        now.c0 = begun && begun[row] == 0 ? nullptr : c + row * width;
        now.c_last = c + row * width;
        now.h = h + row * width;
        kernels::recurrence_columns(now, begin, end);
    });
    if (begun) program.each_row([=](int64_t row) { begun[row] = 1; });
    return {h, [=](const State& state, int64_t row) {
                const Tensor carried = state.get("c");
                copy_state(carried, width, c + row * width);
                if (begun) begun[row] = carried.defined() ? 1 : 0;
            }};
}

}  // namespace lithe

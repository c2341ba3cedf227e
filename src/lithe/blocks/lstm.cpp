#include "lithe/blocks/lstm.h"

#include "lithe/ops/lstm.h"

namespace lithe {

void LstmValues::visit(FieldVisitor& v) {
    v.field({.name = "forget_bias", .help = "initial bias of the forget gate", .minimum = -20, .maximum = 20},
            forget_bias);
}

LstmBlock::LstmBlock(const LstmValues& values, const BlockSite& site) : width_(site.model.width) {
    const int64_t d = width_;
    std::vector<double> biases(size_t(4 * d), 0.0);  // gates: input, forget, cell, output
    for (int64_t i = d; i < 2 * d; ++i) biases[size_t(i)] = values.forget_bias;
    GatedWeights::Start start = GatedWeights::uniform(d);
    start.input_bias = Init::rows(biases);
    start.state_bias = Init::constant(0);
    weights_ = GatedWeights(site, site.name, {.planes = 4, .inputs = d, .units = d}, start);
}

BranchOutput LstmBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto before = [&](const char* name) {
        const Tensor value = state.get(name);
        return value.defined() ? value[0] : value;
    };
    const auto out = ops::lstm({.x_TBI = x_TBD,
                                .w_input = weights_.w_input.tensor(),
                                .w_state = weights_.w_state.tensor(),
                                .bias = weights_.bias(),
                                .h0_BD = before("h"),
                                .c0_BD = before("c"),
                                .flags_TB = call.pass.flags_TB()});
    BranchOutput branch;
    branch.delta_TBD = out.h_TBD;
    branch.state.put("h", out.h_BD.unsqueeze(0), 1);
    branch.state.put("c", out.c_BD.unsqueeze(0), 1);
    return branch;
}

StepOutput LstmBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t d = width_;
    float *from_x = program.vector(4 * d), *from_h = program.vector(4 * d), *h = program.carried(d),
          *c = program.carried(d);
    weights_.add_products(program, {.x = x, .h = h, .from_x = from_x, .from_h = from_h, .planes = 4});
    program.parts(d, [=](int64_t row, int64_t begin, int64_t end) {
        kernels::step_lstm(
            {.width = d, .u = from_x + row * 4 * d, .s = from_h + row * 4 * d, .c = c + row * d, .h = h + row * d},
            begin, end);
    });
    return {h, [=](const State& state, int64_t row) {
                copy_state(state.get("h"), d, h + row * d);
                copy_state(state.get("c"), d, c + row * d);
            }};
}

double LstmBlock::flops_per_token(const CostShape&) const { return 16 * double(width_) * double(width_); }

double LstmBlock::activation_numbers_per_token(const CostShape&) const { return 8 * double(width_); }

}  // namespace lithe

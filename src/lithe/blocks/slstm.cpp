#include "lithe/blocks/slstm.h"

#include <cmath>

#include "lithe/blocks/layer_place.h"
#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/kernels/short_convolution/short_convolution.h"
#include "lithe/ops/slstm.h"

namespace lithe {
namespace {

// Of i, f, z, o for each head: those of f from 5 to -7 (NX-AI/xlstm, "powerlaw_blockdependent").
std::vector<double> first_biases(int64_t heads, int64_t head, double depth) {
    std::vector<double> values(size_t(heads * 4 * head), 0.0);
    for (int64_t i = 0; i < heads; ++i)
        for (int64_t n = 0; n < head; ++n) {
            const double share = head > 1 ? double(n) / double(head - 1) : 0;
            values[size_t((4 * i + 1) * head + n)] = 5 - 12 * std::pow(share, 0.3 + 1.3 * depth);
        }
    return values;
}

}  // namespace

void SlstmValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "heads, whose units do not meet in the loop", .minimum = 1, .maximum = 4096},
            heads);
    v.field({.name = "taps",
             .help = "tokens that the convolution sees",
             .minimum = 2,
             .maximum = double(kernels::kMostTaps)},
            taps);
}

void SlstmValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_heads(where, "width", model.width, heads, problems);
}

SlstmBlock::SlstmBlock(const SlstmValues& values, const BlockSite& site)
    : width_(site.model.width),
      heads_(values.heads),
      epsilon_(site.model.norm_epsilon) {
    const int64_t d = width_, head = d / heads_;
    convolution_ =
        ShortConvolution(site.store, site.name + ".convolution", {.width = d, .taps = values.taps, .silu = true});
    const auto matrix = [&](const char* name, const Init& init) {
        return site.store.add({site.name + name, {4 * d, head}, Role::matrix, init, 4 * heads_});
    };
    w_ = matrix(".w", Init::normal(std::sqrt(2 / (5 * double(d)))));
    w_state_ = matrix(".w_state", Init::constant(0));
    const double depth = LayerPlace(site, "slstm").depth();
    bias_ = site.store.add({site.name + ".bias", {4 * d}, Role::bias, Init::rows(first_biases(heads_, head, depth))});
    gain_ = site.store.add({site.name + ".gain", {d}, Role::vector, Init::constant(1)});
}

Tensor SlstmBlock::gates(const Tensor& convolved_TBD, const Tensor& x_TBD) const {
    const int64_t head = width_ / heads_;
    const Tensor w_HXD = w_.tensor().view({heads_, 4 * head, head});
    const auto products = [&](const Tensor& of_TBD, int64_t plane) {
        const Tensor of_HND = of_TBD.reshape({-1, heads_, head}).transpose(0, 1);
        return at::bmm(of_HND, w_HXD.narrow(1, plane * head, 2 * head).transpose(1, 2)).transpose(0, 1);
    };
    return at::cat({products(convolved_TBD, 0), products(x_TBD, 2)}, -1)
        .view({x_TBD.size(0), x_TBD.size(1), 4 * width_});
}

BranchOutput SlstmBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const Tensor convolved = convolution_.run(x_TBD, state, call, out.state);
    const auto made = ops::slstm({.u_TBX = gates(convolved, x_TBD),
                                  .w_state = w_state_.tensor(),
                                  .bias = bias_.tensor(),
                                  .h0_BD = state.get("h"),
                                  .c0_BD = state.get("c"),
                                  .l0_BD = state.get("l"),
                                  .flags_TB = call.pass.flags_TB(),
                                  .heads = heads_});
    out.state.put("h", made.h_BD, 0);
    out.state.put("c", made.c_BD, 0);
    out.state.put("l", made.l_BD, 0);
    const int64_t head = width_ / heads_;
    const Tensor normed = at::layer_norm(made.h_TBD.unflatten(2, {heads_, head}), {head}, {}, {}, epsilon_).flatten(2);
    out.delta_TBD = normed * gain_.tensor().to(x_TBD.scalar_type());
    return out;
}

// Products of the input and of h, within heads.
double SlstmBlock::flops_per_token(const CostShape&) const {
    return 16 * double(width_) * double(width_) / double(heads_);
}

// x, what is convolved; u is made anew as gates; c is fp32; h, its norm.
double SlstmBlock::activation_numbers_per_token(const CostShape&) const { return 10 * double(width_); }

}  // namespace lithe

// What golden tests of matrix states share: their inputs, a run by ops/matrix_state with its gradients, and layers.
#pragma once

#include <torch/csrc/autograd/autograd.h>

#include "lithe/ops/matrix_state.h"
#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe::testing {

constexpr int64_t kGoldenSteps = 16, kGoldenNumbers = 4;

// sin(a i + b j + c) for step i and number j, a leaf.
inline Tensor golden_numbers(double a, double b, double c) {
    const Tensor i = at::arange(kGoldenSteps, at::kDouble).unsqueeze(1), j = at::arange(kGoldenNumbers, at::kDouble);
    return (i * a + j * b + c).sin().set_requires_grad(true);
}

struct MatrixStateInputs {
    Tensor q = golden_numbers(0.7, 1.3, 0.1), k = golden_numbers(0.5, -0.9, 0.2 + M_PI / 2),
           v = golden_numbers(1.1, -0.6, 0.3), gates = golden_numbers(0.9, 0.4, 0.6);
    Tensor gate = gates.detach().select(1, 0).clone().set_requires_grad(true);  // one for each step
};

struct GoldenStates {
    std::vector<double> out;        // [0][0], [7][2], [15][3], sum, sum of absolute values
    double state = 0;               // sum of the last one
    std::vector<double> gradients;  // sums
};

struct WalkedStates {
    Tensor out, state;  // [T][N], [key][value]
};

inline WalkedStates run(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g, double scale,
                        const Tensor& beta = {}, const std::pair<Tensor, Tensor>& a_b = {}) {
    auto head = [](const Tensor& x) { return x.reshape({x.size(0), 1, 1, x.size(1)}); };
    auto head_or_none = [&](const Tensor& x) { return x.defined() ? head(x) : x; };
    const auto out = ops::matrix_state({.q_TBHK = head(q),
                                        .k_TBHK = head(k),
                                        .v_TBHV = head(v),
                                        .g_TBX = g.defined() ? g.view({g.size(0), 1, -1}) : g,
                                        .beta_TBH = beta.defined() ? beta.view({-1, 1, 1}) : beta,
                                        .a_TBHK = head_or_none(a_b.first),
                                        .b_TBHK = head_or_none(a_b.second),
                                        .key = q.size(1),
                                        .value = v.size(1),
                                        .scale = scale});
    return {out.out_TBX.squeeze(1), out.state_BHKV[0][0]};
}

inline void expect_out(const Tensor& out, const std::vector<double>& expected) {
    expect_values(at::stack({out[0][0], out[7][2], out[15][3], out.sum(), out.abs().sum()}), expected, 1e-9, "out");
}

inline void expect_golden(const WalkedStates& run, const std::vector<Tensor>& inputs, const GoldenStates& golden) {
    expect_out(run.out, golden.out);
    expect_values(run.state.sum(), {golden.state}, 1e-9, "last state");
    torch::autograd::backward({(run.out * cosine({kGoldenSteps, kGoldenNumbers}, 0.3)).sum()}, {});
    std::vector<Tensor> sums;
    for (const Tensor& each : inputs) sums.push_back(each.grad().sum());
    expect_values(at::stack(sums), golden.gradients, 1e-9, "gradients");
}

// A kind's last output of five steps, all parameters waves in the order in which the kind adds them.
// `before`: the name of an earlier layer of the kind, which the model has but which is not asked.
inline Tensor layer_output(const char* kind, const std::vector<RawValue>& values, const char* name = "b",
                           const Bag& bag = {}, const char* before = nullptr) {
    ModelConfig model;
    model.width = 8;
    model.layout = std::string("<") + kind + ">x3";
    const auto options = find_block_kind(kind)->make_options(model);
    Problems problems;
    read_options(
        values, [&](FieldVisitor& v) { options->visit(v); }, kind, problems);
    ParameterStore store;
    if (before) find_block_kind(kind)->make(*options, BlockSite{store, before, model});
    const size_t first = store.size();
    const auto block = find_block_kind(kind)->make(*options, BlockSite{store, name, model});
    store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; first + i < store.size(); ++i)
        store.working(first + i).copy_(wave(store.spec(first + i).shape, 0.37 + 0.1 * double(i), 0.2 * double(i), 0.6));
    return block->branch(wave({5, 1, 8}, 0.53, 0.7, 1.3), {}, Call(Pass(), {}, bag)).delta_TBD[4][0];
}

}  // namespace lithe::testing

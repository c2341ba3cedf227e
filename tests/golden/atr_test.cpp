// The ATR layer: golden numbers of make_atr.py, and the formula step by step.
#include "lithe/ops/atr.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_close;
using testing::wave;

Tensor leaf(const Tensor& value) { return value.detach().clone().set_requires_grad(true); }

void expect_sum(const Tensor& terms, double expected, const std::string& what) {
    const Tensor all = terms.detach().to(at::kDouble);
    const double size = all.abs().sum().item<double>();
    EXPECT_NEAR(all.sum().item<double>(), expected, terms.scalar_type() == at::kDouble ? 1e-9 : 1e-5 * size) << what;
}

TEST(GoldenAtr, Layer) {
    const Tensor i = at::arange(16, at::kDouble).view({16, 1, 1}), j = at::arange(4, at::kDouble);
    for (const auto type : {at::kDouble, at::kFloat}) {
        const auto own = [&](const Tensor& value) { return leaf(value.to(type)); };
        const ops::AtrInput in{.x_TBI = own((1.1 * i - .6 * j + .3).sin()),
                               .w_input = own(wave({4, 4}, .31, .2, .6)),
                               .w_state = own(wave({4, 4}, .43, .9, .6)),
                               .bias_input = own(wave({4}, .7, .1, .3)),
                               .bias_state = own(wave({4}, .5, -.2, .3))};
        const auto out = ops::atr(in);
        torch::autograd::backward({(out.h_TBD * cosine(out.h_TBD.sizes(), .3).to(type)).sum()}, {});
        expect_sum(out.h_TBD[0][0][0], -0.2447927323, "out[0, 0]");
        expect_sum(out.h_TBD[7][0][2], 0.6720246568, "out[7, 2]");
        expect_sum(out.h_TBD[15][0][3], 0.0513272494, "out[15, 3]");
        expect_sum(out.h_TBD, 18.5419189245, "sum of the outputs");
        expect_sum(out.h_TBD.abs(), 30.1531650242, "sum of their sizes");
        expect_sum(out.h_BD, 0.8315305751, "last state");
        expect_sum(in.x_TBI.grad(), -3.7757226757, "gradient of x");
        expect_sum(in.w_input.grad(), -21.3521912039, "gradient of W");
        expect_sum(in.w_state.grad(), -1.7800067986, "gradient of U");
        expect_sum(in.bias_input.grad(), -0.4321300297, "gradient of b");
        expect_sum(in.bias_state.grad(), -1.5675614887, "gradient of b'");
    }
}

ops::AtrInput atr_input(int64_t steps, int64_t batch, int64_t width) {
    return {.x_TBI = wave({steps, batch, 4}, 0.3, 0.1, 1.0),
            .w_input = wave({width, 4}, 0.53, 0.7, 1.0),
            .w_state = wave({width, width}, 0.37, 0.2, 0.5),
            .bias_input = wave({width}, 0.9, 0.4, 0.5),
            .bias_state = wave({width}, 0.4, 0.3, 0.5),
            .h0_BD = wave({batch, width}, 0.7, 0.1, 0.5)};
}

void expect_steps(const ops::AtrInput& in) {
    std::vector<std::vector<Tensor>> results;
    for (const bool kernel : {true, false}) {
        ops::AtrInput own = in;
        std::vector<Tensor*> leaves = {&own.x_TBI,      &own.w_input,    &own.w_state,
                                       &own.bias_input, &own.bias_state, &own.h0_BD};
        for (Tensor* each : leaves) *each = leaf(*each);
        const ops::AtrOutput out = kernel ? ops::atr(own) : ops::atr_by_steps(own);
        torch::autograd::backward({(out.h_TBD * wave(out.h_TBD.sizes(), 0.3, 0.4, 1.0)).sum() +
                                   (out.h_BD * wave(out.h_BD.sizes(), 0.6, 0.1, 1.0)).sum()},
                                  {});
        results.push_back({out.h_TBD, out.h_BD});
        for (const Tensor* each : leaves) results.back().push_back(each->grad());
    }
    for (size_t i = 0; i < results[0].size(); ++i)
        expect_close(results[0][i], results[1][i], 1e-11, "result or gradient " + std::to_string(i));
}

TEST(Atr, EqualsTheSteps) {
    for (const int64_t steps : {1, 2, 15, 17})
        for (const int64_t batch : {1, 3, 19})
            for (const int64_t width : {1, 6, 33}) expect_steps(atr_input(steps, batch, width));
}

TEST(Atr, EqualsTheStepsWithFlags) {
    ops::AtrInput in = atr_input(5, 3, 6);
    in.flags_TB = at::zeros({5, 3}, at::kByte);
    in.flags_TB[2][0] = int64_t(kDocumentBegins);
    in.flags_TB[0][1] = int64_t(kPadding);
    in.flags_TB[3][1] = int64_t(kPadding | kDocumentBegins);
    in.flags_TB[4][2] = int64_t(kPadding);
    expect_steps(in);
}

TEST(Atr, ChecksShapesAndTypes) {
    const auto broken = [&](auto change, const char* words) {
        ops::AtrInput bad = atr_input(5, 3, 6);
        change(bad);
        EXPECT_ERROR(ops::atr(bad), ErrorKind::failed, words);
    };
    broken([](auto& i) { i.x_TBI = wave({5, 3, 5}, 0.3, 0.1, 1.0); }, "do not fit x [5, 3, 5]");
    broken([](auto& i) { i.bias_state = i.bias_state.narrow(0, 0, 5); }, "biases [6] and [5] differ");
    broken([](auto& i) { i.h0_BD = at::zeros({3, 5}, at::kDouble); }, "is not [B][D]");
}

}  // namespace
}  // namespace lithe

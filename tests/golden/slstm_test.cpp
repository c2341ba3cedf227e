// xLSTM's sLSTM: golden numbers of make_slstm.py, which has c, n and m as the paper does, and the formula step by step.
#include "lithe/ops/slstm.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

Tensor leaf(const Tensor& value) { return value.detach().clone().set_requires_grad(true); }

// Off by 1e-9 in fp64, and in fp32 by 1e-5 of the sum of the terms' sizes.
void expect_sum(const Tensor& terms, double expected, const std::string& what) {
    const Tensor all = terms.detach().to(at::kDouble);
    const double tolerance = terms.scalar_type() == at::kDouble ? 1e-9 : 1e-5 * (1e-3 + all.abs().sum().item<double>());
    EXPECT_NEAR(all.sum().item<double>(), expected, tolerance) << what;
}

// Three outputs, sums of outputs, of their sizes and of the last c.
void expect_outputs(const ops::SlstmOutput& out, const std::vector<double>& numbers) {
    expect_sum(out.h_TBD[0][0][0], numbers[0], "out[0, 0]");
    expect_sum(out.h_TBD[7][0][2], numbers[1], "out[7, 2]");
    expect_sum(out.h_TBD[15][0][3], numbers[2], "out[15, 3]");
    expect_sum(out.h_TBD, numbers[3], "sum of the outputs");
    expect_sum(out.h_TBD.abs(), numbers[4], "sum of their sizes");
    expect_sum(out.c_BD, numbers[5], "last state");
}

// A number that is added to all i of a unit changes nothing: their gradients add up to 0.
TEST(GoldenSlstm, GatesAlone) {
    const Tensor i = at::arange(16, at::kDouble).view({16, 1, 1}), j = at::arange(4, at::kDouble);
    for (const auto type : {at::kDouble, at::kFloat}) {
        const auto own = [&](const Tensor& value) { return leaf(value.to(type)); };
        const std::vector<Tensor> gates = {own((.5 * i - .9 * j + .2).cos()), own((.9 * i + .4 * j + .6).sin()),
                                           own((1.1 * i - .6 * j + .3).sin()), own((.7 * i + 1.3 * j + .1).sin())};
        const auto out = ops::slstm(
            {.u_TBX = at::cat(gates, -1), .w_state = at::zeros({16, 4}, type), .bias = at::zeros({16}, type)});
        torch::autograd::backward({(out.h_TBD * cosine(out.h_TBD.sizes(), .3).to(type)).sum()}, {});
        expect_outputs(out, {0.1507661119, -0.1856829296, 0.3358924031, 0.3058999880, 10.6577867101, 1.0133776365});
        const std::vector<double> gradients = {0.0000000000, 1.0777114355, 1.0946520799, -1.3066000945};
        for (size_t k = 0; k < 4; ++k)
            expect_sum(gates[k].grad(), gradients[k], "gradient of gate " + std::to_string(k));
    }
}

TEST(GoldenSlstm, MatrixOfEachHead) {
    for (const auto type : {at::kDouble, at::kFloat}) {
        const auto own = [&](const Tensor& value) { return leaf(value.to(type)); };
        const ops::SlstmInput in{.u_TBX = own(wave({16, 1, 16}, .37, .1, 1.5)),
                                 .w_state = own(wave({16, 2}, .53, .7, .9)),
                                 .bias = own(wave({16}, .47, .2, .6)),
                                 .heads = 2};
        const auto out = ops::slstm(in);
        torch::autograd::backward({(out.h_TBD * cosine(out.h_TBD.sizes(), .3).to(type)).sum()}, {});
        expect_outputs(out, {0.7371438695, -0.0541094411, -0.4524716996, 4.2561219915, 18.0196554389, -0.8235196080});
        expect_sum(in.u_TBX.grad(), 1.0812927517, "gradient of u");
        expect_sum(in.w_state.grad(), -0.0353703710, "gradient of W of the state");
        expect_sum(in.bias.grad(), 1.0812927517, "gradient of the bias");
    }
}

TEST(GoldenSlstm, Layer) {
    ModelConfig model;
    model.width = 6;
    MadeBlock made(*find_block_kind("slstm"), model, {{"heads", "2", "test"}, {"taps", "3", "test"}});
    const std::vector<const char*> names = {"convolution.w", "convolution.bias", "w", "w_state", "bias", "gain"};
    for (size_t i = 0; i < names.size(); ++i)
        made.set(names[i], wave(made.parameter(names[i]).sizes(), 0.37, 0.1 * double(i), 0.8));
    EXPECT_EQ(made.store.size(), names.size());
    const Tensor x = wave({4, 2, 6}, 0.53, 0.7, 1.3).set_requires_grad(true);
    const Tensor out = made.block->branch(x, {}, Pass()).delta_TBD;
    torch::autograd::backward({(out * cosine(out.sizes(), 0.3)).sum()}, {});
    testing::expect_values(
        out,
        {0.246118511, 0.470802179,  -1.068101584, 0.207103493,  0.787654211, -0.758287949, -0.302823736, -0.379886129,
         1.067466572, -0.983474533, 0.008353390,  0.693775919,  0.253676936, 0.459212501,  -1.068671306, -0.098563062,
         0.940438447, -0.659131325, -0.282281164, -0.414441815, 1.069700688, -0.520204193, -0.559057931, 0.803945580,
         0.254289675, 0.458196630,  -1.068623039, 0.202435473,  0.791173797, -0.757693663, -0.281519196, -0.415689681,
         1.069741637, 0.245419670,  -0.989633877, 0.592717485,  0.256276012, 0.455066239,  -1.068668014, 0.283238381,
         0.739894981, -0.775460252, -0.282054021, -0.414814417, 1.069713652, 1.077924197,  -0.763223989, -0.175623681},
        2e-9, "layer");
    const std::vector<double> gradients = {0.071714388, -0.132942340, -0.074144982, 0.110261602,
                                           0.296518114, 0.136186842,  -0.149321504};
    EXPECT_NEAR(x.grad().sum().item<double>(), gradients[0], 1e-8);
    for (size_t i = 0; i < names.size(); ++i)
        EXPECT_NEAR(made.parameter(names[i]).grad().sum().item<double>(), gradients[i + 1], 1e-8) << names[i];
}

ops::SlstmInput slstm_input(int64_t steps, int64_t batch, int64_t width, int64_t heads) {
    const int64_t all = heads * width;
    return {.u_TBX = wave({steps, batch, 4 * all}, 0.3, 0.1, 1.5),
            .w_state = wave({4 * all, width}, 0.37, 0.2, 0.8),
            .bias = wave({4 * all}, 0.9, 0.4, 0.5),
            .h0_BD = wave({batch, all}, 0.7, 0.1, 0.5),
            .c0_BD = wave({batch, all}, 0.6, 0.3, 0.5),
            .l0_BD = wave({batch, all}, 0.5, 0.2, 2.0),
            .heads = heads};
}

// The kernel and the steps, in values and gradients.
void expect_the_steps(const ops::SlstmInput& in) {
    std::vector<std::vector<Tensor>> results;
    for (const bool kernel : {true, false}) {
        ops::SlstmInput own = in;
        std::vector<Tensor*> leaves = {&own.u_TBX, &own.w_state, &own.bias, &own.h0_BD, &own.c0_BD, &own.l0_BD};
        std::erase_if(leaves, [](const Tensor* each) { return !each->defined(); });
        for (Tensor* each : leaves) *each = leaf(*each);
        const ops::SlstmOutput out = kernel ? ops::slstm(own) : ops::slstm_by_steps(own);
        Tensor loss = (out.h_TBD * wave(out.h_TBD.sizes(), 0.3, 0.4, 1.0)).sum();
        for (const Tensor* each : {&out.h_BD, &out.c_BD, &out.l_BD})
            loss = loss + (*each * wave(each->sizes(), 0.6, 0.1, 1.0)).sum();
        torch::autograd::backward({loss}, {});
        results.push_back({out.h_TBD, out.h_BD, out.c_BD, out.l_BD});
        for (const Tensor* each : leaves) results.back().push_back(each->grad());
    }
    for (size_t i = 0; i < results[0].size(); ++i)
        expect_close(results[0][i], results[1][i], 1e-11, "result or gradient " + std::to_string(i));
}

TEST(Slstm, EqualsTheSteps) {
    for (const int64_t steps : {1, 2, 15, 16, 17, 63, 64, 65, 257})
        expect_the_steps(slstm_input(steps, steps < 10 ? 19 : 1, steps % 2 ? 5 : 8, steps % 3 + 1));
}

TEST(Slstm, EqualsTheStepsFromNothing) {
    ops::SlstmInput in = slstm_input(5, 3, 4, 2);
    in.h0_BD = in.c0_BD = in.l0_BD = Tensor();
    expect_the_steps(in);
}

// What a GPU runs, where documents begin inside a segment.
TEST(Slstm, EqualsTheStepsWithFlags) {
    ops::SlstmInput in = slstm_input(5, 3, 6, 2);
    in.flags_TB = at::zeros({5, 3}, at::kByte);
    in.flags_TB[2][0] = int64_t(kDocumentBegins);
    in.flags_TB[0][1] = int64_t(kPadding);
    in.flags_TB[3][1] = int64_t(kPadding | kDocumentBegins);
    in.flags_TB[4][2] = int64_t(kPadding);
    expect_the_steps(in);
}

// The stabiliser: gates whose exponentials no float holds, in both directions.
TEST(Slstm, KeepsGatesOfAnySizeFinite) {
    for (const double far : {90.0, -90.0, 1e4, -1e4}) {
        ops::SlstmInput in = slstm_input(40, 2, 8, 1);
        in.u_TBX =
            (in.u_TBX * at::tensor({far, far / 3, 1.0, 1.0}, at::kDouble).repeat_interleave(8)).set_requires_grad(true);
        const auto out = ops::slstm(in);
        ops::SlstmInput single = in;
        for (Tensor* each : {&single.u_TBX, &single.w_state, &single.bias, &single.h0_BD, &single.c0_BD, &single.l0_BD})
            *each = leaf(each->to(at::kFloat));
        const auto fp32 = ops::slstm(single);
        torch::autograd::backward({fp32.h_TBD.sum() + fp32.l_BD.sum()}, {});
        EXPECT_TRUE(at::isfinite(single.u_TBX.grad()).all().item<bool>()) << far;
        expect_close(fp32.h_TBD, out.h_TBD, std::abs(far) > 1000 ? 2e-2 : 2e-4, "outputs at " + std::to_string(far));
    }
}

TEST(Slstm, ChecksShapesAndTypes) {
    const auto broken = [&](auto change, const char* words) {
        ops::SlstmInput bad = slstm_input(5, 3, 4, 2);
        change(bad);
        EXPECT_ERROR(ops::slstm(bad), ErrorKind::failed, words);
    };
    broken([](auto& i) { i.u_TBX = wave({5, 3, 30}, 0.3, 0.1, 1.0); }, "expected u [T][B][4 D]");
    broken([](auto& i) { i.bias = i.bias.narrow(0, 0, 6); }, "expected u [T][B][4 D]");
    broken([](auto& i) { i.w_state = i.w_state.to(at::kFloat); }, "differ in type");
    broken([](auto& i) { i.l0_BD = at::zeros({3, 5}, at::kDouble); }, "is not [B][D]");
    broken([](auto& i) { i.flags_TB = at::zeros({2, 2}, at::kByte); }, "flags");
}

TEST(Slstm, EmptySegmentKeepsTheState) {
    ops::SlstmInput in = slstm_input(5, 3, 4, 2);
    in.u_TBX = in.u_TBX.narrow(0, 0, 0);
    const auto out = ops::slstm(in);
    EXPECT_EQ(out.h_TBD.sizes(), at::IntArrayRef({0, 3, 8}));
    EXPECT_TRUE(at::equal(out.h_BD, in.h0_BD) && at::equal(out.c_BD, in.c0_BD) && at::equal(out.l_BD, in.l0_BD));
}

TEST(Slstm, HasTheHeadsOfTheSource) {
    ModelConfig model;
    model.width = 12;
    model.heads = 3;
    const MadeBlock made(*find_block_kind("slstm"), model);
    EXPECT_EQ(made.parameter("w_state").sizes(), at::IntArrayRef({4 * 12, 12 / 4}));
}

// From 5 to -7 within each head, falling fast in the first layer and slowly in the last.
TEST(Slstm, StartsWithForgetBiasesOfTheSource) {
    ModelConfig model;
    model.width = 8;
    model.layout = "<slstm>x3";
    const std::vector<std::vector<double>> expected = {{5, -3.63067712, -5.62560992, -7},
                                                       {5, 2.93087257, -1.27242145, -7}};
    for (const int64_t layer : {0, 2}) {
        MadeBlock made(*find_block_kind("slstm"), model, {{"heads", "2", "test"}}, at::kDouble, 1, at::kCPU,
                       "decoder.layers." + std::to_string(layer) + ".slstm");
        const Tensor bias = made.parameter("bias").view({2, 4, 4});
        for (const int64_t head : {0, 1})
            testing::expect_values(bias[head][1], expected[size_t(layer / 2)], 1e-8, "layer " + std::to_string(layer));
        EXPECT_EQ(bias.select(1, 0).abs().max().item<double>(), 0);
        EXPECT_EQ(made.parameter("w_state").abs().max().item<double>(), 0);
    }
}

}  // namespace
}  // namespace lithe

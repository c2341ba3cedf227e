// Diagonal state spaces and the layers around them, S4D and LRU. The numbers are those of make_diagonal_state.py, which
// writes the formulas down once more, as recurrence and as convolution.
#include "lithe/ops/diagonal_state.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "lithe/base/position_flags.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using kernels::DiagonalForm;
using testing::cosine;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

struct Layer {
    const char* kind;
    std::vector<RawValue> values;
    std::vector<const char*> parameters;
    std::vector<double> out, gradients;  // of x, then of each parameter
};

void check(const Layer& layer) {
    ModelConfig model;
    model.width = 3;
    for (const auto type : {at::kDouble, at::kFloat}) {
        SCOPED_TRACE(std::string(layer.kind) + (type == at::kDouble ? " fp64" : " fp32"));
        MadeBlock made(*find_block_kind(layer.kind), model, layer.values, type);
        for (size_t i = 0; i < layer.parameters.size(); ++i)
            made.set(layer.parameters[i],
                     wave(made.parameter(layer.parameters[i]).sizes(), 0.37, 0.1 * double(i), 0.8));
        EXPECT_EQ(made.store.size(), layer.parameters.size());
        const Tensor x = wave({7, 2, 3}, 0.53, 0.7, 1.3).to(type).set_requires_grad(true);
        const Tensor out = made.block->branch(x, {}, Pass()).delta_TBD;
        torch::autograd::backward({(out * cosine(out.sizes(), 0.3).to(type)).sum()}, {});
        testing::expect_values(out, layer.out, type == at::kDouble ? 1e-9 : 2e-5, layer.kind);
        const auto expect_sum = [&](const Tensor& gradient, double expected, const char* of) {
            const Tensor terms = gradient.to(at::kDouble);
            const double size = terms.abs().sum().item<double>();
            EXPECT_NEAR(terms.sum().item<double>(), expected, type == at::kDouble ? 2e-9 : 1e-5 * (1e-3 + size)) << of;
        };
        expect_sum(x.grad(), layer.gradients[0], "x");
        for (size_t i = 0; i < layer.parameters.size(); ++i)
            expect_sum(made.parameter(layer.parameters[i]).grad(), layer.gradients[i + 1], layer.parameters[i]);
    }
}

TEST(GoldenDiagonal, S4dWithComplexNumbers) {
    check({.kind = "s4d",
           .values = {{"states", "4", "test"}},
           .parameters = {"log_dt", "log_a", "w", "c", "d", "out", "bias"},
           .out = {-3.394480170, -2.727148295, 1.028298936,  -0.036228300, -0.411838041, 0.236377145,  0.531740713,
                   0.527718229,  0.359413674,  0.381431371,  0.463738298,  0.465019233,  -3.291525229, -2.654491087,
                   1.012607490,  0.143588832,  -0.144589717, 0.244673351,  0.529568939,  0.524446107,  0.358574376,
                   0.279141903,  0.411557163,  0.509553879,  -3.313175202, -2.721511278, 1.007192587,  0.235079252,
                   -0.009073213, 0.246213618,  0.527901682,  0.521611943,  0.357554339,  0.149521587,  0.342791002,
                   0.554815518,  -3.306793328, -2.765232936, 0.996808910,  0.308553913,  0.107057339,  0.252213029},
           .gradients = {-5.166438584, -0.469851438, 3.170522843, 0.719164922, -4.934074395, -3.206193887, 13.055347661,
                         0.386646881}});
}

TEST(GoldenDiagonal, S4dWithRealNumbers) {
    check(
        {.kind = "s4d",
         .values = {{"states", "4", "test"}, {"start", "\"real\"", "test"}},
         .parameters = {"log_dt", "log_a", "c", "d", "out", "bias"},
         .out = {-0.208821276, -0.332823806, 0.457699792,  0.320483631,  0.171705728,  0.308274475,  0.581409596,
                 0.594365969,  0.373862998,  0.495363066,  0.539964819,  0.431574565,  -0.414648624, -0.514584554,
                 0.503083117,  0.370126998,  0.248749395,  0.310866869,  0.584878274,  0.597195099,  0.372044175,
                 0.474715463,  0.523326428,  0.438908932,  -0.480812752, -0.597500791, 0.504056783,  0.402872659,
                 0.297414369,  0.310720222,  0.585689744,  0.597946081,  0.371772463,  0.447295987,  0.501447861,
                 0.448520171,  -0.494915990, -0.632569221, 0.495330587,  0.433397994,  0.344889086,  0.312703914},
         .gradients = {-2.119646719, 0.417850179, 1.018894992, -6.626314301, -2.546065150, 4.174310661, 0.054645048}});
}

TEST(GoldenDiagonal, Lru) {
    check({.kind = "lru",
           .values = {{"states", "4", "test"}},
           .parameters = {"nu", "theta", "gamma", "b", "c", "d", "w", "bias"},
           .out = {-0.823864148, -0.306276511, 0.714697950,  0.256122688,  0.149908992,  0.318193196,  0.566063238,
                   0.509711344,  0.272432254,  0.535102089,  0.493239275,  0.300524655,  -1.024958215, -0.383536323,
                   0.755440654,  0.293548631,  0.185239747,  0.306995362,  0.555826733,  0.515412843,  0.296578419,
                   0.504486643,  0.469860358,  0.316801794,  -0.996799674, -0.379313398, 0.749113404,  0.364791426,
                   0.244140004,  0.276203360,  0.555703397,  0.515933475,  0.297440773,  0.475741130,  0.454602203,
                   0.337529708,  -1.024058584, -0.412280381, 0.750646762,  0.409163054,  0.281671999,  0.254957166},
           .gradients = {-1.601120165, -0.825558846, -0.790680865, -0.362695032, -21.041525889, -19.264775683,
                         -2.692932745, 4.934431377, 0.139492504}});
}

Tensor leaf(const Tensor& value) { return value.detach().clone().set_requires_grad(true); }

// The recurrence and the convolution of the segment, in values and gradients, from a state and from none.
TEST(DiagonalState, EqualsTheConvolution) {
    for (const auto form : {DiagonalForm::real, DiagonalForm::complex})
        for (const int64_t steps : {1, 2, 15, 16, 17, 63, 64, 65, 257})
            for (const bool from_state : {false, true}) {
                const int64_t batch = 3, states = 5, width = steps % 2 ? 7 : 20, parts = kernels::parts_of(form);
                const Tensor start = from_state ? wave({batch, parts, states, width}, 0.7, 0.4, 0.6) : Tensor();
                std::vector<std::vector<Tensor>> results;
                for (const bool convolved : {false, true}) {
                    ops::DiagonalInput in{.form = form,
                                          .x_TBX = leaf(wave({steps, batch, width}, 0.53, 0.7, 1.3)),
                                          .a_PND = leaf(wave({parts, states, width}, 0.91, 0.3, 0.69)),
                                          .c_PND = leaf(wave({parts, states, width}, 0.41, 0.9, 1.0))};
                    if (from_state) in.s0_BPND = leaf(start);
                    const auto out = convolved ? ops::diagonal_convolution(in) : ops::diagonal_state(in);
                    torch::autograd::backward({(out.y_TBX * wave(out.y_TBX.sizes(), 0.3, 0.4, 1.0)).sum() +
                                               (out.s_BPND * wave(out.s_BPND.sizes(), 0.6, 0.1, 1.0)).sum()},
                                              {});
                    results.push_back({out.y_TBX, out.s_BPND, in.x_TBX.grad(), in.a_PND.grad(), in.c_PND.grad()});
                    if (from_state) results.back().push_back(in.s0_BPND.grad());
                }
                for (size_t i = 0; i < results[0].size(); ++i)
                    expect_close(results[0][i], results[1][i], 1e-9,
                                 std::string(kernels::name_of(form)) + " T " + std::to_string(steps) +
                                     " result or gradient " + std::to_string(i));
            }
}

// Pairs are what complex arithmetic makes of them.
TEST(DiagonalState, PairsAreComplexNumbers) {
    const Tensor x = wave({41, 2, 10}, 0.53, 0.7, 1.3), a = wave({2, 1, 5}, 0.91, 0.3, 0.65);
    const auto out = ops::diagonal_state({.form = DiagonalForm::pairs, .x_TBX = x, .a_PND = a});
    const auto joined = [](const Tensor& re, const Tensor& im) { return at::complex(re, im); };
    const Tensor decay = joined(a[0][0], a[1][0]);
    Tensor h = at::zeros({2, 5}, at::kComplexDouble);
    for (int64_t t = 0; t < 41; ++t) {
        h = decay * h + joined(x[t].narrow(1, 0, 5), x[t].narrow(1, 5, 5));
        expect_close(out.y_TBX[t], at::cat({at::real(h), at::imag(h)}, 1), 1e-12, "step " + std::to_string(t));
    }
    expect_close(out.s_BPND.squeeze(2), at::stack({at::real(h), at::imag(h)}, 1), 1e-12, "last state");
}

TEST(DiagonalState, ChecksShapesAndTypes) {
    const auto broken = [](auto change, const char* words) {
        ops::DiagonalInput bad{.x_TBX = wave({5, 3, 4}, 0.3, 0.1, 1.0),
                               .a_PND = wave({2, 6, 4}, 0.3, 0.1, 0.6),
                               .c_PND = wave({2, 6, 4}, 0.3, 0.1, 1.0)};
        change(bad);
        EXPECT_ERROR(ops::diagonal_state(bad), ErrorKind::failed, words);
    };
    broken([](auto& i) { i.form = DiagonalForm::real; }, "do not fit the form real");
    broken([](auto& i) { i.x_TBX = wave({5, 3, 5}, 0.3, 0.1, 1.0); }, "do not fit the form complex");
    broken([](auto& i) { i.c_PND = wave({2, 5, 4}, 0.3, 0.1, 1.0); }, "c is not of a's sizes");
    broken([](auto& i) { i.s0_BPND = wave({3, 6, 4}, 0.3, 0.1, 1.0); }, "is not [B][P][N][D]");
    broken([](auto& i) { i.a_PND = i.a_PND.to(at::kFloat); }, "must be fp32");
    broken([](auto& i) { i.flags_TB = at::zeros({2, 2}, at::kByte); }, "flags");
}

TEST(DiagonalState, EmptySegmentKeepsTheState) {
    const Tensor start = wave({3, 2, 6, 4}, 0.7, 0.4, 0.6);
    const auto out = ops::diagonal_state({.x_TBX = at::zeros({0, 3, 4}, at::kDouble),
                                          .a_PND = wave({2, 6, 4}, 0.3, 0.1, 0.6),
                                          .c_PND = wave({2, 6, 4}, 0.3, 0.1, 1.0),
                                          .s0_BPND = start});
    EXPECT_TRUE(at::equal(out.s_BPND, start));
}

TEST(S4d, StartsWhereTheSourceDoes) {
    ModelConfig model;
    model.width = 256;
    const auto begin = [&](const char* start) {
        return std::make_unique<MadeBlock>(*find_block_kind("s4d"), model,
                                           std::vector<RawValue>{{"states", "8", "test"}, {"start", start, "test"}});
    };
    const auto lin = begin("\"lin\""), inv = begin("\"inv\""), real = begin("\"real\"");
    testing::expect_values(lin->parameter("w").select(1, 3), {0, M_PI, 2 * M_PI, 3 * M_PI}, 1e-12, "lin");
    testing::expect_values(inv->parameter("w").select(1, 3), {17.8253536263, 4.2441318158, 1.5278874537, 0.3637827271},
                           1e-9, "inv");
    testing::expect_values(lin->parameter("log_a").exp().select(1, 3), {0.5, 0.5, 0.5, 0.5}, 1e-12, "decays");
    testing::expect_values(real->parameter("log_a").exp().select(1, 3), {1, 2, 3, 4, 5, 6, 7, 8}, 1e-12, "real decays");
    const Tensor dt = lin->parameter("log_dt").exp();
    EXPECT_GE(dt.min().item<double>(), 0.001);
    EXPECT_LE(dt.max().item<double>(), 0.1);
    EXPECT_NEAR(dt.log().mean().item<double>(), std::log(0.01), 0.2);
}

// What optimizers let decay: matrices.
TEST(S4d, WhatDecaysInTheSourceIsAMatrix) {
    ModelConfig model;
    model.width = 6;
    for (const char* start : {"\"lin\"", "\"real\""}) {
        const MadeBlock made(*find_block_kind("s4d"), model, {{"states", "4", "test"}, {"start", start, "test"}});
        for (size_t i = 0; i < made.store.size(); ++i) {
            const std::string name = made.store.spec(i).name;
            EXPECT_EQ(made.store.spec(i).role == Role::matrix, name == "b.c" || name == "b.out") << name;
        }
    }
}

TEST(S4d, NeedsAnEvenNumberOfComplexParts) {
    EXPECT_ERROR(MadeBlock(*find_block_kind("s4d"), ModelConfig(), {{"states", "5", "test"}}), ErrorKind::usage,
                 "states 5 is odd");
}

// An even ring, and inputs scaled to the size that it keeps.
TEST(Lru, StartsInARing) {
    ModelConfig model;
    model.width = 512;
    MadeBlock made(*find_block_kind("lru"), model,
                   {{"r_min", "0.5", "test"}, {"r_max", "0.9", "test"}, {"max_phase", "1.5", "test"}});
    const Tensor size = made.parameter("nu").exp().neg().exp(), phase = made.parameter("theta").exp();
    EXPECT_GE(size.min().item<double>(), 0.5);
    EXPECT_LE(size.max().item<double>(), 0.9);
    EXPECT_NEAR(size.square().mean().item<double>(), (0.25 + 0.81) / 2, 2e-3);
    EXPECT_NEAR(phase.mean().item<double>(), 0.75, 5e-3);
    EXPECT_NEAR((size.square() * phase).mean().item<double>(), 0.53 * 0.75, 5e-3) << "phases go with no size";
    expect_close(made.parameter("gamma").exp().square() + size.square(), at::ones({512}, at::kDouble), 1e-12, "gamma");
    EXPECT_ERROR(MadeBlock(*find_block_kind("lru"), model, {{"r_min", "0.9", "test"}, {"r_max", "0.5", "test"}}),
                 ErrorKind::usage, "is not below r_max");
}

}  // namespace
}  // namespace lithe

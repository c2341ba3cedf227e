// xLSTM's mLSTM: golden numbers of make_mlstm.py, which has C, n and m as the paper does, step by step.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/ops/matrix_state.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/matrix_states.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t T = testing::kGoldenSteps, N = testing::kGoldenNumbers;

// Off by 1e-9 in fp64, and in fp32 by 1e-5 of the sum of the terms' sizes.
void expect_sum(const Tensor& terms, double expected, const std::string& what) {
    const Tensor all = terms.detach().to(at::kDouble);
    const double tolerance = terms.scalar_type() == at::kDouble ? 1e-9 : 1e-5 * (1e-3 + all.abs().sum().item<double>());
    EXPECT_NEAR(all.sum().item<double>(), expected, tolerance) << what;
}

// Three outputs, sums of outputs, of their sizes and of the last C e^m, of each gradient.
void expect_cell(double input_factor, double forget_bias, const std::vector<double>& numbers) {
    const testing::MatrixStateInputs waves;
    const Tensor i = at::arange(T, at::kDouble);
    for (const auto type : {at::kDouble, at::kFloat}) {
        const auto leaf = [&](const Tensor& x) { return x.detach().to(type).set_requires_grad(true); };
        const Tensor q = leaf(waves.q.view({T, 1, 1, N})), k = leaf(waves.k.view({T, 1, 1, N})),
                     v = leaf(waves.v.view({T, 1, 1, N})), admit = leaf(input_factor * (.6 * i - .3).cos()),
                     forget = leaf(waves.gate + forget_bias);
        const auto out = ops::matrix_state({.q_TBHK = q,
                                            .k_TBHK = k,
                                            .v_TBHV = v,
                                            .g_TBX = at::log_sigmoid(forget).view({T, 1, 1}),
                                            .admit_TBH = admit.view({T, 1, 1}),
                                            .key = N,
                                            .value = N,
                                            .scale = .5});
        torch::autograd::backward({(out.out_TBX.view({T, N}) * cosine({T, N}, .3).to(type)).sum()}, {});
        expect_sum(out.out_TBX[0][0][0], numbers[0], "out[0, 0]");
        expect_sum(out.out_TBX[7][0][2], numbers[1], "out[7, 2]");
        expect_sum(out.out_TBX[15][0][3], numbers[2], "out[15, 3]");
        expect_sum(out.out_TBX, numbers[3], "sum of the outputs");
        expect_sum(out.out_TBX.abs(), numbers[4], "sum of their sizes");
        expect_sum(out.state_BHKV * out.sums_BHX[0][0][N].exp(), numbers[5], "last state");
        const std::vector<Tensor> leaves = {q, k, v, admit, forget};
        for (size_t n = 0; n < leaves.size(); ++n)
            expect_sum(leaves[n].grad(), numbers[6 + n], "gradient " + std::to_string(n));
    }
}

TEST(GoldenMlstm, Cell) {
    expect_cell(1, 0,
                {0.2955202067, -0.1139722724, 0.1013795483, -23.1369891170, 28.8687378392, 5.2874251881, -3.3423279774,
                 1.3467418297, 3.0099016582, -0.2388155922, 1.3669055405});
}

// Which of decay and gate is the larger changes often.
TEST(GoldenMlstm, WideGates) {
    expect_cell(3, 2,
                {0.2955202067, 0.8376155533, 0.6437437216, -25.9214588353, 50.1267021070, 65.8608368493, -45.0521786853,
                 -14.2575061405, -4.2036067495, 8.2824661312, 1.3879477117});
}

TEST(GoldenMlstm, Layer) {
    ModelConfig model;
    model.width = 6;
    MadeBlock made(*find_block_kind("mlstm"), model,
                   {{"heads", "2", "test"},
                    {"key_width", "4", "test"},
                    {"value_width", "6", "test"},
                    {"gate_cap", "2.5", "test"}});
    const std::vector<const char*> names = {"qkv", "gates", "gates_bias", "gate", "gain", "out"};
    for (size_t i = 0; i < names.size(); ++i)
        made.set(names[i], wave(made.parameter(names[i]).sizes(), 0.37, 0.1 * double(i), 0.8));
    EXPECT_EQ(made.store.size(), names.size());
    const Tensor x = wave({5, 2, 6}, 0.53, 0.7, 1.3).set_requires_grad(true);
    const Tensor out = made.block->branch(x, {}, Pass()).delta_TBD;
    torch::autograd::backward({(out * cosine(out.sizes(), 0.3)).sum()}, {});
    testing::expect_values(
        out,
        {-0.223710720, 0.074403461,  0.133749158,  -0.236120175, 0.151744818,  0.052644826,  -0.050505219, 0.148529557,
         -0.129082543, 0.007544732,  0.119960173,  -0.152589122, -0.259802526, 0.102958294,  0.135315185,  -0.266568499,
         0.186993997,  0.040473207,  -0.075501529, 0.152961092,  -0.109444422, -0.020631344, 0.134389874,  -0.141860063,
         -0.296391086, 0.133822159,  0.134586105,  -0.296550831, 0.223974851,  0.025741821,  -0.099191358, 0.155923013,
         -0.089335864, -0.047906613, 0.147259968,  -0.130146083, -0.333375873, 0.166613334,  0.131922934,  -0.326121953,
         0.262392600,  0.008861868,  -0.122267348, 0.158864368,  -0.069816281, -0.074449186, 0.159833130,  -0.118805777,
         -0.370270528, 0.200867551,  0.127400660,  -0.354908267, 0.301720538,  -0.009903406, -0.144245332, 0.161702251,
         -0.051269595, -0.099711951, 0.171831768,  -0.108050620},
        2e-9, "layer");
    const std::vector<double> gradients = {0.002830079,  -0.000542852, -0.000704703, -0.002095478,
                                           -0.209598747, 0.065607000,  1.025899621};
    EXPECT_NEAR(x.grad().sum().item<double>(), gradients[0], 1e-8);
    for (size_t i = 0; i < names.size(); ++i)
        EXPECT_NEAR(made.parameter(names[i]).grad().sum().item<double>(), gradients[i + 1], 1e-8) << names[i];
}

// Gates that let nothing in or everything, that keep all or lose more than exp has within a chunk.
TEST(Mlstm, GatesAtBothEnds) {
    const int64_t steps = 90, batch = 2, heads = 2, key = 5, value = 6;
    for (const double admit : {-200.0, 0.0, 200.0})
        for (const double forget : {-200.0, -3.0, 200.0}) {
            const auto run = [&](at::ScalarType type) {
                const auto leaf = [&](const Tensor& x) { return x.to(type).set_requires_grad(true); };
                // keys and queries of one sign: sums that cancel are another matter
                std::vector<Tensor> in = {leaf(1 + wave({steps, batch, heads, key}, .37, .1, .5)),
                                          leaf(1 + wave({steps, batch, heads, key}, .53, .7, .5)),
                                          leaf(wave({steps, batch, heads, value}, .91, .3, .8)),
                                          leaf(forget + wave({steps, batch, heads}, .71, .4, 3)),
                                          leaf(admit + wave({steps, batch, heads}, .83, .9, 3))};
                const auto out = ops::matrix_state({.q_TBHK = in[0],
                                                    .k_TBHK = in[1],
                                                    .v_TBHV = in[2],
                                                    .g_TBX = at::log_sigmoid(in[3]),
                                                    .admit_TBH = in[4],
                                                    .heads = heads,
                                                    .key = key,
                                                    .value = value,
                                                    .scale = .4});
                torch::autograd::backward({(out.out_TBX * wave(out.out_TBX.sizes(), .3, .4, 1.0).to(type)).sum()}, {});
                std::vector<Tensor> results = {out.out_TBX};
                for (const Tensor& each : in) results.push_back(each.grad());
                return results;
            };
            const auto got = run(at::kFloat), expected = run(at::kDouble);
            const std::string what = "gates at " + std::to_string(admit) + ", " + std::to_string(forget);
            for (size_t n = 0; n < got.size(); ++n) {
                EXPECT_TRUE(at::isfinite(got[n]).all().item<bool>()) << what << ", " << n;
                expect_close(got[n], expected[n], 3e-4 * (1 + expected[n].abs().max().item<double>()),
                             what + ", " + std::to_string(n));
            }
        }
}

TEST(Mlstm, ChecksShapes) {
    ops::MatrixStateInput in{.q_TBHK = wave({4, 2, 2, 3}, .37, .1, .7),
                             .k_TBHK = wave({4, 2, 2, 3}, .53, .7, .6),
                             .v_TBHV = wave({4, 2, 2, 5}, .91, .3, .8),
                             .g_TBX = wave({4, 2, 2}, .71, .4, 1.0),
                             .admit_TBH = wave({4, 2, 2}, .83, .9, 1.0),
                             .heads = 2,
                             .key = 3,
                             .value = 5};
    const auto broken = [&](auto change, const char* words) {
        auto bad = in;
        change(bad);
        EXPECT_ERROR(ops::matrix_state(bad), ErrorKind::failed, words);
    };
    broken([](auto& bad) { bad.admit_TBH = bad.admit_TBH.narrow(2, 0, 1); }, "input gates");
    broken([](auto& bad) { bad.g_TBX = Tensor(); }, "a normaliser stands with a decay for each head");
    broken([](auto& bad) { bad.g_TBX = wave({4, 2, 6}, .7, .4, 1.0); }, "a normaliser stands with");
    broken([](auto& bad) { bad.start_BHKV = at::zeros({2, 2, 3, 5}, at::kDouble); }, "stand beside");
    broken(
        [](auto& bad) {
            bad.admit_TBH = Tensor();
            bad.start_sums_BHX = at::zeros({2, 2, 4}, at::kDouble);
        },
        "stand with input gates");
}

// Nothing comes in at first, and heads forget at different rates.
TEST(Mlstm, StartsWithGatesOfTheSource) {
    ModelConfig model;
    model.width = 8;
    model.layout = "<mlstm>x3";
    const MadeBlock made(*find_block_kind("mlstm"), model);
    testing::expect_values(made.parameter("gates_bias"), {-10, -10, -10, -10, 3, 4, 5, 6}, 0, "biases");
    EXPECT_EQ(made.parameter("gates").abs().max().item<double>(), 0);
    EXPECT_EQ(made.parameter("gate").abs().max().item<double>(), 0);
    EXPECT_EQ(made.parameter("qkv").sizes(), at::IntArrayRef({16, 8}));
}

}  // namespace
}  // namespace lithe

// Recurrences with a matrix for a state as their papers have them, by ops/matrix_state, with their gradients; and the
// layers around them. The numbers are those of make_matrix_state.py, which writes the formulas down once more.
#include "support/matrix_states.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_golden;
using testing::expect_out;
using testing::expect_values;
using testing::layer_output;
using testing::run;
using Inputs = testing::MatrixStateInputs;
using Walked = testing::WalkedStates;

constexpr int64_t T = testing::kGoldenSteps, N = testing::kGoldenNumbers;

TEST(GoldenMatrixState, GatedLinearAttention) {
    const Inputs in;
    expect_golden(run(in.q, in.k, in.v, at::log_sigmoid(in.gates) / 16, 0.5), {in.q, in.k, in.v, in.gates},
                  {.out = {.2135702548, -.5236541564, .7933136306, -32.1377021043, 41.0490999493},
                   .state = 8.6523155466,
                   .gradients = {-.4351814107, .3559237526, -36.3198158820, .4422227629}});
}

TEST(GoldenMatrixState, GatedLinearAttentionThatForgetsSooner) {
    const Inputs in;
    expect_golden(run(in.q, in.k, in.v, at::log_sigmoid(in.gates), 0.5), {in.q, in.k, in.v, in.gates},
                  {.out = {.2135702548, -.5026716149, -.0698529768, -27.1683886792, 34.4499571577},
                   .state = 4.8979885228,
                   .gradients = {-.0149843975, 1.1736007148, -.3386705371, 1.1709003720}});
}

TEST(GoldenMatrixState, Hgrn2) {
    const Inputs in;
    const Tensor g = at::log_sigmoid(in.gates);
    const Walked got = run(at::silu(in.q), 1 - g.exp(), in.v, g, 0.5);
    EXPECT_LE(got.state.abs().max().item<double>(), in.v.abs().max().item<double>());
    expect_golden(got, {in.q, in.gates, in.v},
                  {.out = {.0353464730, -.1141682394, .0528493109, -1.7485479826, 3.7033182891},
                   .state = 2.6513795008,
                   .gradients = {-4.8024800116, .6213391177, 1.0696222137}});
}

TEST(GoldenMatrixState, Hgrn2WithALowerBound) {
    const Inputs in;
    const Tensor left = .25 + .75 * at::sigmoid(in.gates);
    expect_golden(run(at::silu(in.q), 1 - left, in.v, left.log(), 0.5), {in.q, in.gates, in.v},
                  {.out = {.0265098548, -.0877560568, .0293405942, -1.6147392893, 2.8261232760},
                   .state = 1.6474966256,
                   .gradients = {-3.1374386180, .2719066608, 1.1101933395}});
}

TEST(GoldenMatrixState, Mamba2) {
    const Inputs in;
    const Tensor dt = at::softplus(in.gate - 1);
    Walked got = run(in.q, in.k, dt.unsqueeze(1) * in.v, -1.5 * dt, 1);
    got.out = got.out + in.v;
    expect_golden(got, {in.v, in.gate, in.k, in.q},
                  {.out = {.5086529269, .5713764406, .5700548426, -14.2380411492, 46.7478055825},
                   .state = .1242616163,
                   .gradients = {-2.8611970615, .1359788365, -.8892079243, .3292766790}});
}

TEST(GoldenMatrixState, Retention) {
    const Inputs in;
    const Tensor g = at::full({T, 1}, std::log(1 - std::exp2(-5)), at::kDouble);
    expect_golden(run(in.q, in.k, in.v, g, 0.5), {in.q, in.k, in.v},
                  {.out = {.2135702548, -.4470669036, .8825164630, -32.2579352734, 42.0932877797},
                   .state = 8.8231616880,
                   .gradients = {-.3858114047, .3371132621, -36.6409864355}});
}

// With nothing forgotten all of them are linear attention.
TEST(GoldenMatrixState, WithoutDecayAllAreOne) {
    const Inputs in;
    const Tensor none = run(in.q, in.k, in.v, {}, 0.5).out;
    expect_close(run(in.q, in.k, in.v, at::zeros({T, 1}, at::kDouble), 0.5).out, none, 1e-13, "by head");
    expect_close(run(in.q, in.k, in.v, at::zeros({T, N}, at::kDouble), 0.5).out, none, 1e-13, "by channel");
}

// The layer, its first head fed with q, k and v of the tables: each is a sum of two waves over time.
Tensor linear_attention_of_golden(bool causal) {
    ModelConfig model;
    model.width = 2 * N;
    model.direction = causal ? Direction::causal : Direction::bidirectional;
    testing::MadeBlock made(*find_block_kind("linear_attention"), model, {{"heads", "2", "test"}});
    const Tensor i = at::arange(T, at::kDouble);
    std::vector<Tensor> waves;
    for (double a : {0.7, 0.5, 1.1}) {
        waves.push_back((i * a).sin());
        waves.push_back((i * a).cos());
    }
    const Tensor x = at::cat({at::stack(waves, 1), at::zeros({T, 2}, at::kDouble)}, 1).unsqueeze(1);
    Tensor qkv = at::zeros({3, 2 * N, 2 * N}, at::kDouble);
    const double slope[] = {1.3, -0.9, -0.6}, start[] = {0.1, 0.2 + M_PI / 2, 0.3};
    for (int64_t part = 0; part < 3; ++part)
        for (int64_t n = 0; n < N; ++n) {
            const double phase = slope[part] * double(n) + start[part];
            qkv[part][n][2 * part] = std::cos(phase);
            qkv[part][n][2 * part + 1] = std::sin(phase);
        }
    made.set("qkv", qkv);
    made.set("out", at::eye(2 * N, at::kDouble));
    Pass pass;
    pass.causal = causal;
    return made.block->branch(x, {}, pass).delta_TBD.select(1, 0).narrow(1, 0, N);
}

TEST(GoldenMatrixState, LinearAttention) {
    expect_out(linear_attention_of_golden(true), {.2955201661, -.0133422550, .0828327285, 1.5265172707, 10.2204981360});
    expect_out(linear_attention_of_golden(false), {.0757862507, .1022007798, .0828327285, 4.8110303179, 4.8110303179});
}

TEST(GoldenMatrixState, Layers) {
    const RawValue heads{"heads", "2", "test"};
    expect_values(
        layer_output("gla", {heads, {"decay_rank", "3", "test"}}),
        {-0.246979618, -0.532865192, -0.583833596, -0.377415071, -0.004610598, 0.370226488, 0.581846761, 0.536956014},
        1e-8, "gla");
    expect_values(
        layer_output("retnet", {heads}),
        {-0.612612967, 0.484879167, -0.312452703, 0.111226601, 0.100251566, -0.302489268, 0.476845690, -0.607249915},
        1e-8, "retnet");
    expect_values(
        layer_output("hgrn2", {heads}),
        {-0.269684225, 0.154116550, 0.018535028, -0.184321336, 0.281836058, -0.274960288, 0.166240774, 0.004053388},
        1e-8, "hgrn2");
    // its bound is what softmax over layers gives the second and the third
    expect_values(
        layer_output("hgrn2", {heads}, "decoder.layers.2.hgrn2"),
        {-0.437089189, 0.467672751, -0.325032956, 0.062002782, 0.223992874, -0.427022829, 0.471885930, -0.341965136},
        1e-8, "hgrn2, the third of three");
    expect_values(
        layer_output("mamba2", {heads, {"state", "3", "test"}}),
        {-0.484441365, -0.335695956, 0.590584077, 0.148960922, -0.637683591, 0.052666369, 0.621031167, -0.249028378},
        1e-8, "mamba2");
}

}  // namespace
}  // namespace lithe

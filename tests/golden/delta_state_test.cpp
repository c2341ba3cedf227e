// Recurrences with the delta rule as their papers have them, by ops/matrix_state, with their gradients; and the layers
// around them. The numbers are those of make_delta_state.py, which writes the formulas down once more.
#include "lithe/blocks/rwkv7.h"
#include "support/matrix_states.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_golden;
using testing::expect_values;
using testing::layer_output;
using testing::run;
using testing::wave;

// Queries and keys of length one, up to an epsilon.
Tensor unit(const Tensor& x) { return x / (x.square().sum(1, true) + 1e-6).sqrt(); }

struct Inputs : testing::MatrixStateInputs {
    Tensor b = (at::arange(testing::kGoldenSteps, at::kDouble) * 0.6 - 0.3).cos().set_requires_grad(true);
    testing::WalkedStates rule(const Tensor& g) const { return run(unit(q), unit(k), v, g, 0.5, at::sigmoid(b)); }
};

TEST(GoldenDeltaState, DeltaNet) {
    const Inputs in;
    expect_golden(in.rule({}), {in.q, in.k, in.v, in.b},
                  {.out = {.0791246715, -.0194411974, .0468720615, -8.7125802154, 11.0910703810},
                   .state = 2.2867439253,
                   .gradients = {-.5030051290, .2887799627, -10.3604977422, -.9459743960}});
}

TEST(GoldenDeltaState, GatedDeltaNet) {
    const Inputs in;
    expect_golden(in.rule(at::log_sigmoid(in.gate)), {in.q, in.k, in.v, in.b, in.gate},
                  {.out = {.0791246715, -.0271923232, -.0571215147, -5.5803373981, 8.0982735184},
                   .state = .7602468016,
                   .gradients = {-.3678662314, -.0933735919, .4378374478, -.4065964140, -.0694028769}});
}

TEST(GoldenDeltaState, KimiDeltaAttention) {
    const Inputs in;
    expect_golden(in.rule(at::log_sigmoid(in.gates)), {in.q, in.k, in.v, in.b, in.gates},
                  {.out = {.0791246715, -.0412490448, -.0385747406, -5.4838312990, 7.9411642381},
                   .state = .9083825196,
                   .gradients = {-.4144448662, .0002351665, .5960286592, -.3652407755, -.0030363185}});
}

// What the state held before the decay for kappa is taken off: the kernel reads behind it, by kappa over the decay.
TEST(GoldenDeltaState, Rwkv7) {
    const Inputs in;
    const Tensor A = testing::golden_numbers(0.4, 0.7, 0.5 + M_PI / 2);
    const Tensor a = at::sigmoid(A), g = at::sigmoid(in.gates) * -std::exp(-0.5);
    const Tensor kappa = in.k / in.k.norm(2, {1}, true);
    expect_golden(run(in.q, in.k * (1 + (a - 1) * 1.02), in.v, g, 1, {}, {kappa * (-g).exp(), kappa * a}),
                  {in.q, in.gates, in.k, in.v, A},
                  {.out = {.1991249102, -.1707812669, -.2873226765, -24.4028976654, 31.2037584413},
                   .state = -.0768738619,
                   .gradients = {-2.5188460473, .5172935002, -4.3439706588, -9.0191893068, -2.6077534540}});
}

// Where nothing is taken off, or nothing read, it is gated linear attention.
TEST(GoldenDeltaState, Rwkv7ThatRemovesNothing) {
    const Inputs in;
    const Tensor g = at::log_sigmoid(in.gates), none = at::zeros_like(g);
    const Tensor expected = run(in.q, in.k, in.v, g, 1).out;
    expect_close(run(in.q, in.k, in.v, g, 1, {}, {in.k, none}).out, expected, 1e-13, "nothing is taken off");
    expect_close(run(in.q, in.k, in.v, g, 1, {}, {none, in.k}).out, expected, 1e-13, "nothing is read");
}

// The delta rule in the other form: beta k takes off what k reads.
TEST(GoldenDeltaState, BothFormsAreOneWhereTheyMeet) {
    const Inputs in;
    const Tensor g = at::log_sigmoid(in.gates), k = unit(in.k), beta = at::sigmoid(in.b);
    const Tensor strong = k * beta.unsqueeze(1);
    const auto got = run(in.q, strong, in.v, g, 1, {}, {k, strong}), expected = run(in.q, k, in.v, g, 1, beta);
    expect_close(got.out, expected.out, 1e-13, "out");
    expect_close(got.state, expected.state, 1e-13, "state");
}

// With nothing forgotten all three are one; with one decay for all channels two are.
TEST(GoldenDeltaState, WithoutDecayAllAreOne) {
    const Inputs in;
    const Tensor none = in.rule({}).out, g = at::log_sigmoid(in.gate).unsqueeze(1);
    expect_close(in.rule(at::zeros({16, 1}, at::kDouble)).out, none, 1e-13, "by head");
    expect_close(in.rule(at::zeros({16, 4}, at::kDouble)).out, none, 1e-13, "by channel");
    expect_close(in.rule(g.expand({16, 4}).contiguous()).out, in.rule(g).out, 1e-13, "the same for all channels");
}

// Keys that are orthogonal find nothing to correct: values are stored as they are, as linear attention stores them.
TEST(GoldenDeltaState, OrthogonalKeysOfLengthOneStoreValues) {
    const Tensor keys = std::get<0>(at::linalg_qr(wave({6, 6}, 0.37, 0.1, 1.0))), v = wave({6, 3}, 0.91, 0.3, 1.0);
    const Tensor q = wave({6, 6}, 0.53, 0.7, 1.0), ones = at::ones({6}, at::kDouble);
    const auto got = run(q, keys, v, {}, 1, ones), linear = run(q, keys, v, {}, 1);
    expect_close(keys.matmul(got.state), v, 1e-13, "values");
    expect_close(got.out, linear.out, 1e-13, "out");
    // A key that comes again has its value replaced, where linear attention adds.
    const Tensor again = at::cat({keys, keys.narrow(0, 2, 1)}), values = at::cat({v, v.narrow(0, 0, 1)});
    const Tensor replaced = run(again, again, values, {}, 1, at::ones({7}, at::kDouble)).state;
    expect_close(keys[2].matmul(replaced), v[0], 1e-13, "the later value");
    expect_close(keys[3].matmul(replaced), v[3], 1e-13, "another key's");
}

// With beta 0 nothing is written, however strong keys and values are.
TEST(GoldenDeltaState, NothingIsWrittenWithoutBeta) {
    const Inputs in;
    const auto got = run(in.q, in.k, in.v, at::log_sigmoid(in.gates), 1, at::zeros({16}, at::kDouble));
    EXPECT_EQ(got.state.abs().max().item<double>(), 0);
}

TEST(GoldenDeltaState, Layers) {
    const RawValue heads{"heads", "2", "test"};
    expect_values(layer_output("delta_net", {heads}),
                  {-0.240738650, -0.237489119, -0.230640337, -0.220296098, -0.206613175, -0.189798939, -0.170108216,
                   -0.147839428},
                  1e-8, "delta_net");
    expect_values(
        layer_output(
            "delta_net",
            {heads, {"taps", "3", "test"}, {"gate", "true", "test"}, {"negative_eigenvalues", "true", "test"}}),
        {-0.156180781, -0.015138272, 0.132578045, 0.221846448, 0.213312367, 0.110738108, -0.040655784, -0.174126302},
        1e-8, "delta_net with a gate");
    expect_values(
        layer_output("gated_delta", {heads}),
        {0.040582714, -0.910392334, -0.217224526, 0.868244644, 0.385688496, -0.793410188, -0.539632470, 0.688706256},
        1e-8, "gated_delta");
    expect_values(
        layer_output("kda", {heads}),
        {0.385881479, 0.235353957, -0.060093892, -0.318538639, -0.380841692, -0.208639648, 0.092033259, 0.336036246},
        1e-8, "kda");
    const std::vector<RawValue> rwkv7 = {heads,
                                         {"decay_rank", "3", "test"},
                                         {"rate_rank", "2", "test"},
                                         {"value_rank", "3", "test"},
                                         {"gate_rank", "4", "test"}};
    expect_values(
        layer_output("rwkv7", rwkv7),
        {0.449576510, -0.764380616, 0.557038801, 0.030814413, -0.597618401, 0.756191197, -0.398212238, -0.231784209},
        1e-8, "rwkv7");
    Bag first;
    first.put(kFirstValues, wave({5, 1, 8}, 0.43, 0.2, 0.9));
    expect_values(
        layer_output("rwkv7", rwkv7, "decoder.layers.2.rwkv7", first, "decoder.layers.0.rwkv7"),
        {0.019209185, 0.013110494, 0.006852046, 0.000510102, -0.005838058, -0.012115078, -0.018244470, -0.024151544},
        1e-8, "rwkv7, a later layer");
    expect_values(
        layer_output("rwkv7_channel", {{"inner", "6", "test"}}),
        {1.082833140, -0.858328808, 0.567723473, -0.233397024, -0.118903629, 0.462047361, -0.769608233, 1.017900586},
        1e-8, "rwkv7_channel");
}

}  // namespace
}  // namespace lithe

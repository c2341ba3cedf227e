// The SRU++ layer (Lei 2021, section 3), its gradients and four variants. The numbers are those of make_srupp.py, which
// writes the formula down once more.
#include "lithe/blocks/srupp.h"

#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_values;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t T = 3, M = 2, D = 4;

// W3 of make_srupp.py has interleaved rows (unit, plane), as in the authors' package; ours are planes.
Tensor planes_of(const Tensor& w3) { return w3.view({D, 3, D}).transpose(0, 1).reshape({3 * D, D}); }

Tensor interleaved(const Tensor& w3) { return w3.view({3, D, D}).transpose(0, 1).contiguous(); }

ModelConfig model() {
    ModelConfig config;
    config.width = D;
    config.memory = M;
    return config;
}

struct Outcome {
    double loss = 0;
    BranchOutput out;
    Tensor x, memory;
};

void set_common(MadeBlock& made, const std::string& w3) {
    made.set("w1", wave({16}, 0.31, 0.2, 0.7));
    made.set(w3, planes_of(wave({48}, 0.29, 0.4, 0.9)));
    made.set("norm.gain", 1 + wave({4}, 1.1, 0, 0.1));
    made.set("norm.bias", wave({4}, 0.6, 0.3, 0.2));
    made.set("weight_c", wave({8}, 0.91, 0.3, 1.0));
    made.set("bias", at::cat({wave({4}, 1.3, -0.4, 0.5), at::full({4}, -2.0, at::kDouble)}));
}

Outcome run(MadeBlock& made, bool with_memory, int64_t window) {
    Outcome result;
    auto type = made.parameter("w1").scalar_type();
    result.x = wave({T, 1, D}, 0.53, 0.7, 0.9, type).set_requires_grad(true);
    State state;
    state.put("c", wave({1, D}, 0.77, 0.2, 0.6, type), 0);
    if (with_memory) {
        result.memory = wave({M, 1, D}, 0.47, 1.1, 0.8, type).set_requires_grad(true);
        state.put("memory", result.memory, 1, 0);
    }
    Pass pass;
    pass.memory = M;
    pass.window = window;
    result.out = made.block->branch(result.x, state, pass);
    Tensor h = result.out.delta_TBD, c = result.out.state.get("c");
    Tensor loss = (h * cosine(h.sizes(), 0.3).to(type)).sum() + (c * cosine(c.sizes(), 0.5, 0.2).to(type)).sum();
    torch::autograd::backward({loss}, {});
    result.loss = loss.item<double>();
    return result;
}

std::unique_ptr<MadeBlock> make_srupp(int64_t heads, at::ScalarType type = at::kDouble) {
    auto made = std::make_unique<MadeBlock>(
        *find_block_kind("u"), model(),
        std::vector<RawValue>{{"projection", "4", "test"}, {"heads", std::to_string(heads), "test"}}, type);
    set_common(*made, "w3");
    made->set("w2", wave({32}, 0.43, 0.9, 0.8));
    made->set("scale", at::full({}, 0.5, at::kDouble));
    return made;
}

void check_gradients(at::ScalarType type, double tolerance) {
    auto made = make_srupp(1, type);
    Outcome r = run(*made, true, -1);
    EXPECT_NEAR(r.loss, 4.789667, 4 * tolerance);
    expect_values(r.out.delta_TBD,
                  {0.430886, 0.822132, 0.843453, 0.517672, 0.298342, -0.171903, -0.570403, -0.761843, -0.825233,
                   -0.551972, -0.224169, 0.112971},
                  tolerance, "h");
    expect_values(r.out.state.get("c"), {0.772835, -0.320015, 0.483704, -0.306051}, tolerance, "c_last");
    expect_values(made->parameter("scale").grad(), {0.134749}, tolerance, "dscale");
    expect_values(made->parameter("w1").grad(),
                  {0.166901, 0.162083, 0.113293, 0.034605, -0.048380, -0.020358, 0.013592, 0.044882, -0.109121,
                   -0.056491, 0.011760, 0.077539, -0.031019, -0.014309, 0.006205, 0.025320},
                  tolerance, "dW1");
    expect_values(made->parameter("norm.gain").grad(), {-0.124078, -0.524051, 0.240639, 0.946222}, tolerance, "dgain");
    expect_values(made->parameter("norm.bias").grad(), {0.075573, 0.265138, 0.432561, 0.563859}, tolerance, "dbias");
    expect_values(made->parameter("w2").grad()[0], {0.005758, 0.009898, 0.000672, -0.009462}, tolerance, "dW2 row 1");
    expect_values(made->parameter("w2").grad()[4], {0.059080, 0.062101, -0.018740, -0.074274}, tolerance, "dW2 row 5");
    expect_values(interleaved(made->parameter("w3").grad())[0][0], {-0.337199, -0.672942, 0.467497, 1.013989},
                  tolerance, "dW3 row 1");
    expect_values(r.x.grad(),
                  {0.740697, 0.919444, 0.717465, 0.547090, 0.320897, 0.024239, -0.244011, -0.408798, -0.697448,
                   -0.675853, -1.060874, -0.944134},
                  tolerance, "dx");
    expect_values(r.memory.grad(),
                  {-0.000868, 0.001719, 0.004142, 0.006171, -0.031848, -0.029816, -0.024942, -0.017690}, tolerance,
                  "dmemory");
}

TEST(GoldenSrupp, OutputAndGradients) {
    check_gradients(at::kDouble, 5e-6);
    check_gradients(at::kFloat, 1e-5);
}

TEST(GoldenSrupp, Variants) {
    EXPECT_NEAR(run(*make_srupp(2), true, -1).loss, 4.770339, 5e-6);   // two heads
    EXPECT_NEAR(run(*make_srupp(1), true, 2).loss, 4.800252, 5e-6);    // evaluation window of 2
    EXPECT_NEAR(run(*make_srupp(1), false, -1).loss, 4.800186, 5e-6);  // no memory
    MadeBlock projected(*find_block_kind("r"), model(), {{"projection", "4", "test"}});
    set_common(projected, "w2");
    EXPECT_NEAR(run(projected, false, -1).loss, 4.695650, 5e-6);
}

// Rows (direction, unit, plane) of make_srupp.py; ours are planes of each direction.
Tensor planes_of_both_ways(const Tensor& w3) {
    return w3.view({2, D / 2, 3, D}).transpose(1, 2).reshape({3 * D, D}).contiguous();
}

struct BothWays {
    MadeBlock made;
    Tensor x, h;
    explicit BothWays(const Tensor& flags_TB = {})
        : made(*find_block_kind("u"), encoder(), {{"projection", "4", "test"}}) {
        set_common(made, "w3");
        made.set("w2", wave({32}, 0.43, 0.9, 0.8));
        made.set("w3", planes_of_both_ways(wave({48}, 0.29, 0.4, 0.9)));
        made.set("scale", at::full({}, 0.5, at::kDouble));
        x = wave({T, 1, D}, 0.53, 0.7, 0.9).set_requires_grad(true);
        Pass pass;
        pass.causal = false;
        pass.set_flags(flags_TB);
        BranchOutput out = made.block->branch(x, {}, pass);
        EXPECT_TRUE(out.state.empty());
        h = out.delta_TBD;
    }
    static ModelConfig encoder() {
        ModelConfig config = model();
        config.memory = 0;
        config.direction = Direction::bidirectional;
        return config;
    }
};

TEST(GoldenSrupp, BothWays) {
    BothWays run;
    expect_values(run.h,
                  {0.398695, 0.792959, 0.818376, 0.526874, 0.298080, -0.242004, -0.569883, -0.643068, -0.825298,
                   -0.593683, -0.228260, 0.164414},
                  5e-6, "h");
    torch::autograd::backward({(run.h * cosine(run.h.sizes(), 0.3)).sum()}, {});
    const auto gradient = [&](const char* name) { return run.made.parameter(name).grad(); };
    expect_values(gradient("scale"), {0.052630}, 5e-6, "dscale");
    expect_values(gradient("w1"),
                  {0.035940, 0.030943, 0.017457, -0.000820, 0.004900, 0.012382, 0.016466, 0.016032, -0.032403,
                   -0.026771, -0.013793, 0.002969, -0.002742, 0.005638, 0.012472, 0.015884},
                  5e-6, "dW1");
    expect_values(gradient("w2"),
                  {0.001188,  0.003515,  0.001095,  -0.002804, 0.004217,  0.009276,  0.001809,  -0.008101,
                   0.001551,  0.002511,  0.000080,  -0.002459, -0.003209, -0.007645, -0.001757, 0.006504,
                   0.004772,  0.004544,  -0.001821, -0.005726, 0.002040,  0.004071,  0.000605,  -0.003678,
                   -0.014407, -0.019326, 0.001853,  0.020529,  0.007595,  0.010711,  -0.000636, -0.011125},
                  5e-6, "dW2");
    expect_values(
        gradient("w3").view({2, 3, D / 2, D}).transpose(1, 2),
        {0.078507,  0.114636,  -0.040595, -0.090777, 0.026801,  0.024832,  -0.020352, -0.025526, -0.124210, -0.123256,
         0.065039,  0.083595,  0.059967,  0.115615,  -0.099858, -0.200729, 0.044024,  0.050914,  -0.049834, -0.076858,
         -0.032158, -0.017857, 0.007323,  -0.007239, -0.057499, -0.028123, 0.068215,  0.064578,  0.010010,  0.005780,
         -0.011161, -0.011117, -0.028771, -0.025740, 0.006408,  0.003598,  0.159760,  0.239841,  -0.152073, -0.294384,
         0.016914,  0.020085,  -0.013849, -0.022246, -0.015077, -0.097799, -0.020607, 0.055266},
        5e-6, "dW3");
    expect_values(run.x.grad(),
                  {0.729018, 0.899892, 0.707462, 0.552793, 0.342368, 0.042083, -0.224312, -0.372735, -0.714610,
                   -0.598289, -0.974341, -0.799861},
                  5e-6, "dx");
}

TEST(GoldenSrupp, BothWaysPaddingIsNotSeen) {
    Tensor flags = at::zeros({T, 1}, at::kByte);
    flags.select(0, T - 1).fill_(int64_t(kPadding));
    expect_values(BothWays(flags).h,
                  {0.398581, 0.793029, 0.802650, 0.526563, 0.297813, -0.235902, -0.568546, -0.641385, 0.000000,
                   0.000000, 0.000000, 0.000000},
                  5e-6, "h");
}

TEST(GoldenSrupp, AttentionStartsSilent) {
    MadeBlock made(*find_block_kind("u"), model(), {{"projection", "4", "test"}});
    Outcome r = run(made, true, -1);
    EXPECT_EQ(made.parameter("w2").grad().abs().max().item<double>(), 0);  // scale is 0: only it learns first
    EXPECT_NE(made.parameter("scale").grad().item<double>(), 0);
}

TEST(GoldenSrupp, InitialisationFollowsTheReference) {
    ModelConfig config;
    config.width = 64;
    config.dropout = 0.36;
    MadeBlock made(*find_block_kind("u"), config, {{"projection", "16", "test"}});
    auto bound = [&](const char* name, double expected) {
        double largest = made.parameter(name).abs().max().item<double>();
        EXPECT_LE(largest, expected) << name;
        EXPECT_GT(largest, 0.97 * expected) << name;
    };
    bound("w1", std::sqrt(6.0 / (64 + 16)));
    bound("w2", std::sqrt(6.0 / (16 + 32)));
    bound("w3", std::sqrt(6.0 / (16 + 192)) * std::sqrt(1 - 0.36));
    bound("weight_c", 1.0);
    expect_values(made.parameter("bias").sum(1), {0, -128}, 0, "bias");
}

}  // namespace
}  // namespace lithe

// The SRU++ layer (Lei 2021, section 3), its gradients and four variants. The numbers are those of make_srupp.py, which
// writes the formula down once more.
#include "lithe/blocks/srupp.h"

#include <torch/csrc/autograd/autograd.h>

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

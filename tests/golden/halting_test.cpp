// Adaptive computation time around a Universal Transformer's step. Numbers are those of make_halting.py, which goes
// from position to position.
#include "lithe/model/halting.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "support/built_stack.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_values;
using testing::wave;

struct Halted {
    double steps, ponder;
    std::vector<double> weights;
};

// One position with these h.
Halted halted(const std::vector<double>& probabilities) {
    Halting halting({1}, at::TensorOptions(at::kDouble), 0.99);
    Halted result{};
    for (size_t n = 0; n < probabilities.size() && halting.running().item<bool>(); ++n) {
        const Tensor h = at::full({1}, probabilities[n], at::kDouble);
        result.weights.push_back(halting.weights(h, n + 1 == probabilities.size()).item<double>());
    }
    result.steps = halting.steps().item<double>();
    result.ponder = halting.ponder().item<double>();
    return result;
}

TEST(GoldenHalting, WeightsRemainderAndPonderCost) {
    const auto expect = [](const std::vector<double>& probabilities, const std::vector<double>& expected) {
        const Halted result = halted(probabilities);
        std::vector<double> got = {result.steps, result.ponder};
        double sum = 0;
        for (const double weight : result.weights) sum += weight;
        for (size_t n = 0; n < 3 && n < result.weights.size(); ++n) got.push_back(result.weights[n]);
        ASSERT_EQ(got.size(), expected.size());
        for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << i;
        EXPECT_NEAR(sum, 1, 1e-12);
    };
    expect({.3, .4, .5, .9}, {3, 3.3, .3, .4, .3});
    expect({.995, .5}, {1, 2, 1});
    expect(std::vector<double>(20, .1), {10, 10.1, .1, .1, .1});
    expect({.1, .1, .1}, {3, 3.8, .1, .1, .8});  // all that is left for the last one
}

struct Golden {
    const char* positions;
    std::vector<double> y;  // each position's sum
    double ponder, mean_steps;
    std::vector<double> gradients;  // of x and the parameters
};

struct Universal : testing::BuiltStack {
    static constexpr int64_t kLength = 5;
    static constexpr int64_t kRows = 2;

    explicit Universal(const std::string& positions)
        : BuiltStack(parse_config("[model]\nwidth = 8\nnorm = \"none\"\nlayout = \"@[sf]x4\"\npositions = \"" +
                                      positions +
                                      "\"\n[blocks.f]\ninner = 6\nactivation = \"relu\"\nbias = false\n"
                                      "[blocks.halting]\nthreshold = 0.9\nponder = 0.3\n",
                                  "test")) {
        int i = 0;
        for (const char* name : {"attention.qkv", "attention.out", "feed_forward.w1", "feed_forward.w2"})
            set(name, .37, .4 + i++, .35);
        set("halting.weight", 1.3, .4, .9);
        const at::NoGradGuard no_grad;
        parameter("halting.bias").fill_(-.7);
    }
    Tensor parameter(const std::string& name) const {
        for (size_t i = 0; i < store.size(); ++i)
            if (store.spec(i).name == "body.layers.0." + name) return store.working(i);
        throw std::runtime_error("no parameter " + name);
    }
    void set(const std::string& name, double a, double b, double scale) {
        const at::NoGradGuard no_grad;
        const Tensor to = parameter(name);
        to.copy_(wave(to.sizes(), a, b, scale));
    }
};

void expect_golden(const Golden& golden) {
    const Universal universal(golden.positions);
    Pass pass{.training = true};
    Tensor flags = at::zeros({Universal::kLength, Universal::kRows}, at::kByte);
    flags[3][1] = flags[4][1] = int(kPadding);
    pass.set_flags(flags);
    const Tensor x = wave({Universal::kLength, Universal::kRows, 8}, .53, .7, 1.1).set_requires_grad(true);
    const UnitOutput out = universal.stack.root->forward(x, {}, pass);
    const Tensor& y = out.flow.x_TBD;
    expect_values(y.sum(2), golden.y, 1e-8, "y");
    ASSERT_EQ(out.aux.losses.size(), 1u);
    EXPECT_EQ(out.aux.losses[0].first, "ponder");
    EXPECT_NEAR(out.aux.losses[0].second.item<double>(), golden.ponder, 1e-9);
    ASSERT_EQ(out.aux.metrics.size(), 1u);
    EXPECT_EQ(out.aux.metrics[0].first, "body.layers.0.halting.steps");
    EXPECT_NEAR(out.aux.metrics[0].second.item<double>(), golden.mean_steps, 1e-9);
    torch::autograd::backward({(y * cosine(y.sizes(), .3)).sum() + out.aux.losses[0].second}, {});
    const auto weighted = [](const Tensor& gradient) {
        return (gradient * wave(gradient.sizes(), .7, .2, 1)).sum().item<double>();
    };
    EXPECT_NEAR(weighted(x.grad()), golden.gradients[0], 1e-7);
    size_t i = 1;
    for (const char* name :
         {"attention.qkv", "attention.out", "feed_forward.w1", "feed_forward.w2", "halting.weight", "halting.bias"})
        EXPECT_NEAR(weighted(universal.parameter(name).grad()), golden.gradients[i++], 1e-7) << name;
}

TEST(GoldenHalting, StepsOfOneLayer) {
    expect_golden({.positions = "none",
                   .y = {1.334308356, 0.243330239, -3.769592439, 0.611708436, 0.956851478, -3.551230692, 0.159762065,
                         1.385172607, -3.356328592, -0.419212862},
                   .ponder = 1.183712580,
                   .mean_steps = 3.633333333,
                   .gradients = {6.109515117, 35.129803039, 48.467724594, 25.285086509, -6.943627067, 8.540768674,
                                 -0.437166782}});
}

TEST(GoldenHalting, UniversalTransformer) {
    expect_golden(
        {.positions = "coordinates",
         .y = {11.426684101, 11.163886109, 5.053102362, 10.743910637, 10.217258993, 4.150572153, 7.463928001,
               9.059466356, 2.654915455, 6.337827580},
         .ponder = 0.634675423,
         .mean_steps = 1.533333333,
         .gradients = {0.928676897, 12.058545486, 5.421403640, 6.449558794, -2.779556245, 3.371863239, 0.047764849}});
}

}  // namespace
}  // namespace lithe

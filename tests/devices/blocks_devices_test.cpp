// Every block kind on the GPU against the CPU: two segments with the state carried, outputs, states and gradients.
#include "devices/devices.h"
#include "lithe/base/position_flags.h"
#include "lithe/model/stack.h"
#include "support/block_variants.h"

namespace lithe {
namespace {

using testing::device_under_test;
using testing::expect_near;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t T = 12, B = 3, D = 16;

struct Case {
    const testing::BlockVariant& variant;
    at::ScalarType type;
    bool kept = false, flags = false, training = false;
    int64_t window = -1;
    std::string name() const {
        return variant.name + " " + testing::type_name(type) + (kept ? " kept" : "") + (flags ? " flags" : "") +
               (training ? " training" : "") + (window >= 0 ? " window" : "");
    }
};

struct Result {
    std::vector<Tensor> outputs, gradients;
    std::vector<std::pair<std::string, StateTensor>> state;
};

Result run(const Case& c, at::Device device) {
    ModelConfig model;
    model.width = D;
    model.memory = 2 * T;
    model.dropout = 0.2;
    model.attention_dropout = 0.2;
    const bool causal = c.variant.kind->traits.causal;
    if (!causal) model.direction = Direction::bidirectional;
    MadeBlock made(*c.variant.kind, model, c.variant.values, c.type, 1, device);
    Pass pass;
    pass.memory = 2 * T;
    pass.keep_projections = c.kept;
    pass.window = c.window;
    pass.training = c.training;
    pass.keys.rows = 77;
    pass.causal = causal;
    {
        at::NoGradGuard guard;
        for (size_t i = 0; i < made.store.size(); ++i)
            if (made.store.spec(i).role == Role::scalar) made.store.working(i).fill_(0.7);  // wake what starts silent
    }
    Result result;
    State state;
    std::vector<Tensor> roots, upstream, inputs;
    for (int64_t segment = 0; segment < 2; ++segment) {
        Tensor x = wave({T, B, D}, 0.53, 0.7 + double(segment), 1.3, c.type).to(device).requires_grad_();
        if (c.flags && segment == 1) {
            Tensor flags = at::zeros({T, B}, at::kByte);
            flags[5][0] = int(kDocumentBegins);
            flags[0][1] = int(kPadding);
            pass.set_flags(flags.to(device));
        }
        auto out = testing::branch_of(*c.variant.kind, *made.block, x, state, pass);
        state = std::move(out.state);
        result.outputs.push_back(out.delta_TBD);
        inputs.push_back(x);
        if (!out.delta_TBD.requires_grad()) continue;
        roots.push_back(out.delta_TBD);
        upstream.push_back(wave({T, B, D}, 0.3, 0.4, 1, c.type).to(device));
    }
    if (!roots.empty()) torch::autograd::backward(roots, upstream);
    for (const Tensor& x : inputs) result.gradients.push_back(x.grad());
    for (size_t i = 0; i < made.store.size(); ++i) result.gradients.push_back(made.store.working(i).grad());
    result.state = flatten(state.detach());
    return result;
}

void expect_same(const Case& c) {
    SCOPED_TRACE(c.name());
    const Result expected = run(c, at::kCPU), got = run(c, device_under_test());
    const double tolerance = 3 * testing::tolerance_of(c.type);
    ASSERT_EQ(got.gradients.size(), expected.gradients.size());
    ASSERT_EQ(got.state.size(), expected.state.size());
    for (size_t i = 0; i < expected.outputs.size(); ++i)
        expect_near(got.outputs[i], expected.outputs[i], tolerance, "output " + std::to_string(i));
    for (size_t i = 0; i < expected.gradients.size(); ++i)
        expect_near(got.gradients[i], expected.gradients[i], tolerance, "gradient " + std::to_string(i));
    for (size_t i = 0; i < expected.state.size(); ++i) {
        EXPECT_EQ(got.state[i].first, expected.state[i].first);
        EXPECT_EQ(got.state[i].second.value.device(), device_under_test()) << expected.state[i].first;
        expect_near(got.state[i].second.value, expected.state[i].second.value, tolerance, expected.state[i].first);
    }
}

class GpuBlocks : public ::testing::TestWithParam<int> {
 protected:
    void SetUp() override { testing::skip_without_gpu(); }
};

TEST_P(GpuBlocks, EqualTheCpu) {
    const testing::BlockVariant& variant = testing::block_variants()[size_t(GetParam())];
    const BlockTraits& traits = variant.kind->traits;
    for (const auto type : testing::kTypes) {
        expect_same({variant, type});
        expect_same({.variant = variant, .type = type, .kept = true, .window = 7});
        expect_same({.variant = variant, .type = type, .training = true});
        if (traits.bidirectional && !traits.streams) continue;
        expect_same({.variant = variant, .type = type, .flags = true});
        expect_same({.variant = variant, .type = type, .kept = true, .flags = true, .window = 7});
    }
}

INSTANTIATE_TEST_SUITE_P(All, GpuBlocks, ::testing::Range(0, int(testing::block_variants().size())),
                         [](const auto& which) { return testing::block_variants()[size_t(which.param)].name; });

}  // namespace
}  // namespace lithe

// Adapters behind blocks: the formula, and where they stand under each norm.
#include "lithe/model/adapter.h"

#include <gtest/gtest.h>

#include "support/built_stack.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::BuiltStack;
using testing::expect_close;
using testing::wave;

// Houlsby et al. 2019, figure 2.
struct Formula {
    Tensor down = wave({3, 8}, 0.31, 0.2, 0.6), down_bias = wave({3}, 0.7, 0.1, 0.3), up = wave({8, 3}, 0.43, 0.9, 0.6),
           up_bias = wave({8}, 0.5, -0.2, 0.3);
    Tensor operator()(const Tensor& x) const {
        return x + at::linear(at::gelu(at::linear(x, down, down_bias)), up, up_bias);
    }
    // Gives an adapter these numbers.
    void give(const ParameterStore& store, const std::string& name) const {
        const at::NoGradGuard no_grad;
        int found = 0;
        for (size_t i = 0; i < store.size(); ++i)
            for (const auto& [part, value] : {std::pair(".down", down), std::pair(".down_bias", down_bias),
                                              std::pair(".up", up), std::pair(".up_bias", up_bias)})
                if (store.spec(i).name == name + part) {
                    store.working(i).copy_(value);
                    ++found;
                }
        ASSERT_EQ(found, 4) << name;
    }
};

Tensor through(const BuiltStack& built, const Tensor& x) { return built.stack.root->forward(x, {}, {}).flow.x_TBD; }

TEST(Adapter, StandsBehindABlockAndBeforeTheSum) {
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    const Formula formula;
    for (const std::string norm : {"pre", "none"}) {
        BuiltStack plain("f", {}, "norm = \"" + norm + "\"\n"),
            adapted("f", {}, "adapter_width = 3\nnorm = \"" + norm + "\"\n");
        formula.give(adapted.store, "adapters.body.layers.0.feed_forward");
        expect_close(through(adapted, x), x + formula(through(plain, x) - x), 1e-12, norm);
    }
    BuiltStack bare("f", {}, "norm = \"none\"\n"), post("f", {}, "adapter_width = 3\nnorm = \"post\"\n");
    formula.give(post.store, "adapters.body.layers.0.feed_forward");
    const Tensor sum = x + formula(through(bare, x) - x);
    expect_close(through(post, x), at::layer_norm(sum, {8}), 1e-12, "post");
}

// What such a block gives has its skip in it.
TEST(Adapter, StandsBehindABlockWithASkipOfItsOwn) {
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    const Formula formula;
    BuiltStack plain("<sru>"), adapted("<sru>", {}, "adapter_width = 3\n");
    formula.give(adapted.store, "adapters.body.layers.0.sru");
    expect_close(through(adapted, x), formula(through(plain, x)), 1e-12, "sru");
}

TEST(Adapter, BeginsCloseToNothing) {
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    BuiltStack plain("sf"), adapted("sf", {}, "adapter_width = 3\n");
    expect_close(through(adapted, x), through(plain, x), 0.01, "outputs");
    EXPECT_GT(adapted.store.count(), plain.store.count());
}

}  // namespace
}  // namespace lithe

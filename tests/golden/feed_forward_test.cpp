// Feed-forward blocks by their formulas; tests/golden/make_feed_forward.py prints the numbers.
#include <gtest/gtest.h>

#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::MadeBlock;
using testing::wave;

TEST(FeedForward, ActivationsAndGatesAreThePapers) {
    struct Case {
        const char* name;
        double first, middle, last, sum;
    };
    const Case cases[] = {
        {"gelu_tanh", 4.9755464906, -1.9110267433, -1.8164570165, 3.2263207136},
        {"squared_relu", 13.4987363625, -4.3640098864, -2.8404623152, 2.9156226313},
        {"glu", -3.0245990088, 1.8615466966, -0.0779732280, 3.0775841874},
        {"swiglu", -11.3477933012, 5.2271149261, 1.3802841300, 3.0964136571},
        {"geglu", -11.0891189293, 5.0851999458, 1.3514790206, 3.1000163593},
        {"reglu", -11.0404759646, 4.8745217270, 1.2298885870, 3.0558538676},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        ModelConfig model;
        model.width = 4;
        MadeBlock made(*find_block_kind("f"), model,
                       {{"inner", "6", "test"}, {"activation", "\"" + std::string(each.name) + "\"", "test"}});
        made.set("w1", wave(made.parameter("w1").sizes(), 0.37, 0.2, 1.0));
        made.set("b1", wave(made.parameter("b1").sizes(), 0.9, 0.3, 0.5));
        made.set("w2", wave({4, 6}, 0.53, 0.4, 1.0));
        made.set("b2", wave({4}, 1.1, 0.5, 0.5));
        const Tensor y = made.block->branch(wave({5, 1, 4}, 0.7, 0.1, 1.5), {}, Call(Pass())).delta_TBD.squeeze(1);
        EXPECT_NEAR(y[0][0].item<double>(), each.first, 1e-9);
        EXPECT_NEAR(y[2][1].item<double>(), each.middle, 1e-9);
        EXPECT_NEAR(y[4][3].item<double>(), each.last, 1e-9);
        EXPECT_NEAR(y.sum().item<double>(), each.sum, 1e-9);
    }
}

}  // namespace
}  // namespace lithe

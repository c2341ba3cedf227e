// Updates of low rank: golden numbers of make_lora.py, where x W^T and the update are added, as the paper has them.
#include "lithe/nn/lora.h"

#include <gtest/gtest.h>

#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_values;
using testing::wave;

TEST(GoldenLora, AMergedMatrixGivesWhatThePaperAdds) {
    constexpr int64_t kStacked = 2;
    constexpr double kScale = 3.0 / 2;  // alpha / rank
    const Tensor x = wave({5, 4}, .7, .2, 1.0), w = wave({6, 4}, .31, .4, .8), up = wave({6, 2}, .53, .1, .5),
                 down = wave({4, 4}, .37, .9, .6);
    const Tensor merged = w + lora_product(up, down, kStacked, kScale);
    const Tensor y = at::linear(x, merged);
    expect_values(y[0], {1.9006756522, 2.8340032157, 0.3187753965, -1.7532612046, 0.6370780501, 2.6131076045}, 1e-9,
                  "y[0]");
    expect_values(y[4], {-0.0322873297, -1.1364388457, -0.8894922807, -0.1357289778, 0.2666403910, 0.1527344185}, 1e-9,
                  "y[4]");
    const Tensor d_merged = at::mm(cosine({5, 6}, .3).t(), x);
    Tensor d_up = at::zeros_like(up), d_down = at::zeros_like(down);
    add_lora_gradients(d_merged, up, down, kStacked, kScale, d_up, d_down);
    expect_values(d_up,
                  {1.0110633809, 0.5053277313, 1.6057334238, 0.7728205489, 2.0569680822, 0.9712796085, -2.1280693124,
                   -1.4688881565, -2.1852114488, -1.4942089183, -2.0471551545, -1.3860564476},
                  1e-9, "gradient of up");
    expect_values(d_down,
                  {1.1160143451, 1.2075599299, 0.7311712109, -0.0890987534, 1.0451709338, 1.1235383910, 0.6734881872,
                   -0.0933140346, -1.4258693109, -1.5794926975, -0.9902559883, 0.0647135855, -1.5351187762,
                   -1.6947467069, -1.0573087802, 0.0773979868},
                  1e-9, "gradient of down");
    add_lora_gradients(d_merged, up, down, kStacked, kScale, d_up, d_down);
    EXPECT_NEAR(d_up[0][0].item<double>(), 2 * 1.0110633809, 1e-8) << "gradients are added";
}

}  // namespace
}  // namespace lithe

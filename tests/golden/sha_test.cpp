// SHA-RNN's block and its boom. The numbers are those of make_sha.py, which gates keys and values each by itself.
#include <torch/csrc/autograd/autograd.h>

#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t kSteps = 3, kMemory = 5;

void expect_gradients(const MadeBlock& made, const Tensor& x, const std::vector<std::string>& names,
                      const std::vector<double>& expected) {
    const auto weighted = [](const Tensor& gradient) {
        return (gradient * wave(gradient.sizes(), .7, .2, 1)).sum().item<double>();
    };
    EXPECT_NEAR(weighted(x.grad()), expected[0], 1e-8) << "x";
    for (size_t i = 0; i < names.size(); ++i)
        EXPECT_NEAR(weighted(made.parameter(names[i]).grad()), expected[i + 1], 1e-8) << names[i];
}

std::unique_ptr<MadeBlock> made_block(const char* kind, const std::vector<std::string>& names) {
    ModelConfig model;
    model.width = 4;
    auto made =
        std::make_unique<MadeBlock>(*find_block_kind(kind), model, std::vector<RawValue>{{"expansion", "3", "test"}});
    for (size_t i = 0; i < names.size(); ++i)
        made->set(names[i], wave(made->parameter(names[i]).sizes(), .37, .1 * double(i), .8) +
                                (names[i].ends_with("gain") ? 1 : 0));
    EXPECT_EQ(made->store.size(), names.size());
    return made;
}

TEST(GoldenSha, Boom) {
    const std::vector<std::string> names = {"norm_skip.gain", "norm_skip.bias", "norm.gain", "norm.bias", "w", "bias"};
    const auto made = made_block("boom", names);
    const Tensor x = wave({kSteps, 2, 4}, .53, .7, 1.3).set_requires_grad(true);
    const Tensor out = made->block->branch(x, {}, Pass()).delta_TBD;
    torch::autograd::backward({(out * cosine(out.sizes(), .3)).sum()}, {});
    testing::expect_values(
        out, {4.344081722, 6.623431504, 1.887000282, -0.465717919, 1.560149596, 5.768608216, 2.639536954, -1.672708122,
              8.326683737, 2.437269324, 1.009340069, 3.421165466,  3.078566821, 7.243959851, 1.654663951, -1.235118850,
              1.581500336, 5.697396083, 2.582036643, -1.626032624, 8.320102830, 2.497587732, 1.049813331, 3.380987528},
        1e-9, "boom");
    expect_gradients(*made, x, names,
                     {13.575030107, -0.302960207, 1.887120859, 2.299818642, 5.397110325, 0.996227208, 0.546651587});
}

// Two segments: the second attends to the memory that the first left, and no gradient goes back to it.
TEST(GoldenSha, BlockWithMemory) {
    const std::vector<std::string> names = {"norm.gain",
                                            "norm.bias",
                                            "w_input",
                                            "w_state",
                                            "b_input",
                                            "b_state",
                                            "norm_memory.gain",
                                            "norm_memory.bias",
                                            "norm_middle.gain",
                                            "norm_middle.bias",
                                            "query",
                                            "query_bias",
                                            "norm_query.gain",
                                            "norm_query.bias",
                                            "query_gate",
                                            "key_gate",
                                            "value_gate",
                                            "value",
                                            "value_bias",
                                            "boom.norm_skip.gain",
                                            "boom.norm_skip.bias",
                                            "boom.norm.gain",
                                            "boom.norm.bias",
                                            "boom.w",
                                            "boom.bias"};
    const auto made = made_block("sha", names);
    const Tensor x = wave({2 * kSteps, 2, 4}, .53, .7, 1.3).set_requires_grad(true);
    Pass pass;
    pass.memory = kMemory;
    const auto first = made->block->branch(x.narrow(0, 0, kSteps), {}, pass);
    const auto second = made->block->branch(x.narrow(0, kSteps, kSteps), first.state.detach(), pass);
    const Tensor out = at::cat({first.delta_TBD, second.delta_TBD});
    torch::autograd::backward({(out * cosine(out.sizes(), .3)).sum()}, {});
    testing::expect_values(
        out,
        {4.661258829, 2.822451113, -1.399408859, -0.742294832, 7.056649680, 0.252970390, 1.349187680,  -1.948557645,
         6.933397335, 2.701360879, -1.103691513, -1.258002709, 5.835989641, 2.306559509, -2.000130522, -0.459963885,
         5.565012545, 2.382856055, 0.310253153,  -1.693298178, 5.053588568, 2.879678910, -1.002945768, -1.042076764,
         4.607584642, 2.881370565, -1.169799988, -0.868971780, 7.939126651, 2.058284328, 0.114058478,  -1.914599474,
         4.927053413, 2.887443431, -0.952765680, -1.046354508, 7.550545259, 2.595164891, -0.825558360, -1.479365946,
         5.371849294, 2.578372252, 0.043441194,  -1.568495794, 4.184923748, 2.915081539, -0.861924311, -0.949987350},
        1e-9, "sha");
    expect_gradients(*made, x, names,
                     {-37.949998307, -2.000476411, -8.554064015, -11.996983048, 1.575671009, -8.044759812, -8.044759812,
                      0.205407055,   0.236790239,  0.368832668,  -1.856767427,  0.563806781, -0.027422486, 0.022082723,
                      -0.057191776,  -0.001894060, -0.002348707, 0.206297184,   0.661481856, -0.336312617, 1.247466050,
                      2.381585168,   2.561246268,  6.641348453,  -2.608621693,  0.356254166});
    EXPECT_EQ(second.state.get("memory").size(0), kMemory);
}

// Values are dropped and keys are not: without dropout both stand as one.
TEST(Sha, DropsValuesApartFromKeys) {
    ModelConfig model;
    model.width = 8;
    MadeBlock made(*find_block_kind("sha"), model, {{"dropout", "0.5", "test"}});
    const Tensor x = wave({6, 2, 8}, .53, .7, 1.3);
    Pass pass;
    pass.memory = 4;
    const State state = made.block->branch(x, {}, pass).state;
    pass.training = true;
    pass.keys.rows = 3;
    const Tensor dropped = made.block->branch(x, state, pass).delta_TBD;
    EXPECT_TRUE(at::equal(dropped, made.block->branch(x, state, pass).delta_TBD));
    pass.training = false;
    EXPECT_GT((dropped - made.block->branch(x, state, pass).delta_TBD).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace lithe

// TRANS-BLSTM's layer in both forms. The numbers are those of make_trans_blstm.py, which goes row by row.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t kSteps = 4, kShorter = 3, kWidth = 4;
using Names = std::vector<std::string>;

ModelConfig encoder() {
    ModelConfig model;
    model.width = kWidth;
    model.direction = Direction::bidirectional;
    return model;
}

Pass both_ways(const Tensor& flags_TB = {}) {
    Pass pass;
    pass.causal = false;
    pass.set_flags(flags_TB);
    return pass;
}

Names names_of_form(bool parallel) {
    Names names = {"attention.qkv",      "attention.qkv_bias",  "attention.out",
                   "attention.out_bias", "attention_norm.gain", "attention_norm.bias"};
    const auto add = [&](const std::string& prefix, const Names& of) {
        for (const std::string& name : of) names.push_back(prefix + name);
    };
    if (parallel) add("feed_forward.", {"w1", "w2", "b1", "b2"});
    for (const char* way : {"forward.", "backward."}) add(way, {"w_input", "w_state", "b_input", "b_state"});
    add("", {"out", "out_bias", "norm.gain", "norm.bias"});
    return names;
}

// A row of `whole` positions and one that ends a position earlier.
void expect_golden(bool parallel, const std::vector<double>& whole, const std::vector<double>& shorter,
                   const std::vector<double>& gradients) {
    const char* form = parallel ? "\"parallel\"" : "\"replace\"";
    MadeBlock made(*find_block_kind("trans_blstm"), encoder(),
                   {{"form", form, "test"}, {"heads", "2", "test"}, {"units", "3", "test"}, {"inner", "5", "test"}});
    const Names names = names_of_form(parallel);
    ASSERT_EQ(made.store.size(), names.size());
    for (size_t i = 0; i < names.size(); ++i)
        made.set(names[i], wave(made.parameter(names[i]).sizes(), .37, .1 * double(i), .8) +
                               (names[i].ends_with("gain") ? 1 : 0));
    Tensor flags = at::zeros({kSteps, 2}, at::kByte);
    flags[kShorter][1] = int64_t(kPadding);
    const Tensor x = wave({kSteps, 2, kWidth}, .53, .7, 1.3).set_requires_grad(true);
    const Tensor out = made.block->branch(x, {}, both_ways(flags)).delta_TBD;
    testing::expect_values(out.select(1, 0), whole, 1e-9, "whole row");
    testing::expect_values(out.narrow(0, 0, kShorter).select(1, 1), shorter, 1e-9, "shorter row");
    const Tensor valid = flags.eq(0).unsqueeze(-1);
    torch::autograd::backward({(out * cosine(out.sizes(), .3) * valid).sum()}, {});
    const auto weighted = [](const Tensor& gradient) {
        return (gradient * wave(gradient.sizes(), .7, .2, 1)).sum().item<double>();
    };
    EXPECT_NEAR(weighted(x.grad()), gradients[0], 1e-8) << "x";
    for (size_t i = 0; i < names.size(); ++i)
        EXPECT_NEAR(weighted(made.parameter(names[i]).grad()), gradients[i + 1], 1e-8) << names[i];
}

TEST(GoldenTransBlstm, Parallel) {
    expect_golden(
        true,
        {2.006758941, 1.602019862, -1.985248921, 0.173534014, 1.807140224, -0.566773238, -1.376221453, 1.243716649,
         2.206976454, -0.543500601, -1.442087897, 1.042532860, 1.981059755, 1.859414991, -1.910432910, -0.039049693},
        {2.265365227, -0.553965440, -1.438614521, 1.012052459, 2.067578041, 1.634948747, -1.962664456, 0.098125467,
         1.782886083, -0.530567966, -1.395220153, 1.249122368},
        {-0.064825716, -0.825887183, 1.111168954,  -1.626820372, -0.258195399, -0.019399151, 0.025954794, 0.036685223,
         1.336407056,  0.093256518,  -0.190462845, 0.019422292,  0.003454506,  0.008304107,  0.008304107, -0.091275688,
         -0.010244493, 0.017483105,  0.017483105,  -0.018539460, -0.190462845, -0.667337055, 2.151830650});
}

TEST(GoldenTransBlstm, Replace) {
    expect_golden(
        false,
        {-1.429080133, 2.306422992, 2.158552839, -0.715624056, -1.424003375, -0.443892018, 1.441808924, 2.001202546,
         0.669707507, -1.693056779, 0.517496560, 2.191614376, -1.271068964, 2.311244835, 2.185052645, -0.858971458},
        {1.055549221, -1.750453801, 0.302216337, 2.132022660, -1.346502793, 2.330560382, 2.156127977, -0.793354895,
         -1.510917153, -0.385394170, 1.584908047, 1.899434071},
        {1.879135137, -1.323622221, 1.793347467, -1.002841131, -0.375615630, 0.035737310, -0.164910828, 0.082016749,
         -0.039538011, 0.010273243, 0.010273243, 0.018265479, 0.000305869, -0.001029536, -0.001029536, 0.052594136,
         -0.223234137, 0.271477882, 2.151830650});
}

// Attention sees across; without what it adds, documents that share a segment are as documents alone, either way.
TEST(TransBlstm, ForgetsWhereItEntersAnotherDocument) {
    for (const char* form : {"\"parallel\"", "\"replace\""}) {
        MadeBlock made(*find_block_kind("trans_blstm"), encoder(), {{"form", form, "test"}});
        made.set("attention.out", at::zeros({kWidth, kWidth}, at::kDouble));
        const int64_t steps = 7, second = 3;
        const Tensor x = wave({steps, 2, kWidth}, .53, .7, 1.3);
        Tensor flags = at::zeros({steps, 2}, at::kByte);
        flags[second].fill_(int64_t(kDocumentBegins));
        const Tensor together = made.block->branch(x, {}, both_ways(flags)).delta_TBD;
        const auto alone = [&](int64_t first, int64_t count) {
            return made.block->branch(x.narrow(0, first, count), {}, both_ways()).delta_TBD;
        };
        expect_close(together, at::cat({alone(0, second), alone(second, steps - second)}), 1e-12, form);
    }
}

TEST(TransBlstm, SaysWhatDoesNotFit) {
    ModelConfig model = encoder();
    model.positions = Positions::relative;
    EXPECT_ERROR(MadeBlock(*find_block_kind("trans_blstm"), model), ErrorKind::usage, "the model must be causal");
    EXPECT_ERROR(MadeBlock(*find_block_kind("trans_blstm"), encoder(), {{"heads", "3", "test"}}), ErrorKind::usage,
                 "width 4 is no multiple of heads 3");
}

}  // namespace
}  // namespace lithe

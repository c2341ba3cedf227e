// What a Transformer of today has in its attention, by the formulas; tests/golden/make_attention.py prints the numbers.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/blocks/attention.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

ModelConfig causal_model() {
    ModelConfig model;
    model.width = 8;
    return model;
}

MadeBlock make(std::vector<RawValue> values) {
    values.push_back({"heads", "4", "test"});
    return MadeBlock(*find_block_kind("s"), causal_model(), values);
}

void set_weights(MadeBlock& made) {
    for (size_t i = 0; i < made.store.size(); ++i) {
        const std::string name = made.store.spec(i).name.substr(2);
        const Tensor weight = made.store.working(i);
        if (name == "qkv" || name == "query") made.set(name, wave(weight.sizes(), 0.37, 0.2, 0.8));
        if (name == "key_value") made.set(name, wave(weight.sizes(), 0.41, 0.3, 0.8));
        if (name == "gate") made.set(name, wave(weight.sizes(), 0.29, 0.6, 0.8));
        if (name == "out") made.set(name, wave(weight.sizes(), 0.53, 0.4, 0.8));
        if (name == "sinks") made.set(name, wave(weight.sizes(), 0.9, 0.3, 1.2));
    }
}

TEST(Attention, WhatATransformerHasTodayIsTheFormulas) {
    struct Case {
        const char* name;
        std::vector<RawValue> values;
        double first, middle, last, sum;
    };
    const Case cases[] = {
        {"rotary", {{"positions", "\"rotary\"", "test"}}, 1.0347814080, -0.8562981186, 1.1480579637, 5.9103609608},
        {"grouped", {{"key_value_heads", "2", "test"}}, 1.7159936596, -0.4495470409, 1.2050442863, 4.8044549955},
        {"window", {{"window", "3", "test"}}, 1.0347814080, 0.6727788317, 0.3245262282, 0.9570591727},
        {"gated", {{"gated", "true", "test"}}, -0.4367446580, -0.6684434834, 1.7662509344, 7.1654782745},
        {"normed", {{"query_key_norm", "true", "test"}}, 1.0347814080, 0.2624081914, 1.4312745418, 2.8339245581},
        {"alibi", {{"positions", "\"alibi\"", "test"}}, 1.0347814080, 0.6730519618, 1.9779793524, 2.2420209155},
        {"capped", {{"soft_cap", "0.7", "test"}}, 1.0347814080, -0.0042551755, 1.0973541919, 2.9116229520},
        {"sinks", {{"sinks", "true", "test"}}, 0.8454004812, 0.6227117002, 1.8223753881, 1.8535307675},
        {"bent",
         {{"key_value_heads", "2", "test"},
          {"positions", "\"alibi\"", "test"},
          {"soft_cap", "0.9", "test"},
          {"sinks", "true", "test"},
          {"window", "4", "test"}},
         -0.3167740378,
         -0.5211443612,
         1.2806045501,
         0.7239925557},
        {"all",
         {{"key_value_heads", "1", "test"},
          {"positions", "\"rotary\"", "test"},
          {"rotary_base", "50.0", "test"},
          {"window", "4", "test"},
          {"query_key_norm", "true", "test"},
          {"gated", "true", "test"}},
         -3.8502525752,
         -0.0887337837,
         1.1896139329,
         -6.5347145544},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        MadeBlock made = make(each.values);
        set_weights(made);
        // few steps go through two products; behind others, which cannot be seen from before, through the kernel
        const Tensor x = at::cat({wave({6, 1, 8}, 0.7, 0.1, 1.5), wave({6, 1, 8}, 0.3, 0.2, 1.0)});
        for (const int64_t steps : {6, 12}) {
            const Tensor y = made.block->branch(x.narrow(0, 0, steps), {}, Call(Pass())).delta_TBD.squeeze(1);
            EXPECT_NEAR(y[0][0].item<double>(), each.first, 1e-9);
            EXPECT_NEAR(y[3][5].item<double>(), each.middle, 1e-9);
            EXPECT_NEAR(y[5][7].item<double>(), each.last, 1e-9);
            EXPECT_NEAR(y.narrow(0, 0, 6).sum().item<double>(), each.sum, 1e-9);
        }
    }
}

// As transformers' build_alibi_tensor has them; its heads may be no power of two.
TEST(Attention, AlibiSlopesAreThePapers) {
    const auto expect = [](const std::vector<double>& slopes) {
        expect_close(alibi_slopes(int64_t(slopes.size()), at::kDouble), at::tensor(slopes, at::kDouble), 1e-10,
                     std::to_string(slopes.size()) + " heads");
    };
    expect({0.0039062500});
    expect({0.0625000000, 0.0039062500, 0.2500000000});
    expect({0.5000000000, 0.2500000000, 0.1250000000, 0.0625000000, 0.0312500000, 0.0156250000, 0.0078125000,
            0.0039062500});
    expect({0.5000000000, 0.2500000000, 0.1250000000, 0.0625000000, 0.0312500000, 0.0156250000, 0.0078125000,
            0.0039062500, 0.7071067812, 0.3535533906, 0.1767766953, 0.0883883476});
}

// A product of turned heads depends on the difference of positions alone.
TEST(Attention, RotaryPositionsAreRelative) {
    const ops::Rotary rotary{.size = 8, .turned = 6, .base = 100};
    const Tensor q = wave({1, 1, 8}, 0.7, 0.3, 1.0), k = wave({1, 1, 8}, 0.4, 0.9, 1.0);
    const auto product = [&](int64_t of_q, int64_t of_k) {
        return (ops::rotary(q, rotary, 1, of_q) * ops::rotary(k, rotary, 1, of_k)).sum();
    };
    expect_close(product(9, 4), product(1005, 1000), 1e-10, "shifted");
    EXPECT_GT((product(9, 4) - product(9, 5)).abs().item<double>(), 1e-3);
    expect_close(ops::rotary(q, rotary, 1, 0), q, 0, "the first position");
}

// Of x = [queries, keys, values, gates], the first of four heads; its numbers are those of fla's naive code.
TEST(Attention, AForgetGateIsThePapers) {
    constexpr int64_t kSteps = 16, kSize = 4;
    const Tensor i = at::arange(kSteps, at::kDouble).unsqueeze(1), j = at::arange(kSize, at::kDouble).unsqueeze(0);
    const Tensor q = at::sin(0.7 * i + 1.3 * j + 0.1), k = at::cos(0.5 * i - 0.9 * j + 0.2),
                 v = at::sin(1.1 * i - 0.6 * j + 0.3), f = at::sin(0.9 * i + 0.6);
    ModelConfig model;
    model.width = 16;
    MadeBlock made(*find_block_kind("s"), model, {{"heads", "4", "test"}, {"forget_gate", "true", "test"}});
    Tensor weights = at::zeros({48, 16}, at::kDouble), gates = at::zeros({4, 16}, at::kDouble);
    for (int64_t part = 0; part < 3; ++part)
        for (int64_t n = 0; n < kSize; ++n) weights[part * 16 + n][part * kSize + n] = 1;
    gates[0][12] = 1;
    made.set("qkv", weights);
    made.set("forget", gates);
    made.set("out", at::eye(16, at::kDouble));
    const Tensor x = at::cat({q, k, v, f, at::zeros({kSteps, 3}, at::kDouble)}, 1).unsqueeze(1).requires_grad_();
    const Tensor out = made.block->branch(x, {}, Pass()).delta_TBD.squeeze(1).narrow(1, 0, kSize);
    testing::expect_values(at::stack({out[0][0], out[7][2], out[15][3], out.sum(), out.abs().sum()}),
                           {.2955202067, -.2088652713, .6055842399, -4.6950217666, 26.3995026342}, 1e-9, "output");
    torch::autograd::backward({(out * at::cos(0.3 * (4 * i + j))).sum()}, {});
    const auto sum = [&](int64_t first, int64_t count) { return x.grad().narrow(2, first, count).sum(); };
    testing::expect_values(at::stack({sum(0, 4), sum(4, 4), sum(8, 4), sum(12, 1)}),
                           {-.2665938667, 0.0000000000, 1.1661771475, 3.4351901546}, 1e-9, "gradients");
}

// Gates near one and near zero, far along a text: sums of their logarithms are large, and differences are exact.
TEST(Attention, ForgettingIsExactFarAlongAText) {
    const auto run = [](at::ScalarType type) {
        MadeBlock made(*find_block_kind("s"), causal_model(), {{"heads", "4", "test"}, {"forget_gate", "true", "test"}},
                       type);
        made.set("forget_bias", at::tensor({-6.0, -3.0, 0.0, 4.0}, at::kDouble));
        return made.block->branch(wave({3000, 1, 8}, 0.37, 0.1, 1.5, type), {}, Pass()).delta_TBD;
    };
    expect_close(run(at::kFloat), run(at::kDouble), 5e-6, "fp32");
}

TEST(Attention, OptionsThatContradictAreToldInASentence) {
    const auto expect = [](std::vector<RawValue> values, const std::string& words) {
        EXPECT_ERROR(make(std::move(values)), ErrorKind::usage, words);
    };
    expect({{"key_value_heads", "3", "test"}}, "heads 4 are no multiple of key_value_heads 3");
    expect({{"positions", "\"relative\"", "test"}, {"window", "3", "test"}},
           "without window, gates, norm, cap or sinks");
    ModelConfig both = causal_model();
    both.direction = Direction::bidirectional;
    EXPECT_ERROR(MadeBlock(*find_block_kind("s"), both, {{"window", "3", "test"}}), ErrorKind::usage,
                 "a window looks back");
    EXPECT_ERROR(MadeBlock(*find_block_kind("s"), both, {{"positions", "\"alibi\"", "test"}}), ErrorKind::usage,
                 "ALiBi's positions count back");
    expect({{"positions", "\"relative\"", "test"}, {"soft_cap", "5.0", "test"}}, "cap or sinks");
    EXPECT_ERROR(MadeBlock(*find_block_kind("s"), both, {{"forget_gate", "true", "test"}}), ErrorKind::usage,
                 "a forget gate counts back");
    expect({{"positions", "\"relative\"", "test"}, {"forget_gate", "true", "test"}}, "gates");
    ModelConfig odd = causal_model();
    odd.width = 9;
    EXPECT_ERROR(MadeBlock(*find_block_kind("s"), odd, {{"positions", "\"rotary\"", "test"}, {"heads", "3", "test"}}),
                 ErrorKind::usage, "rotary positions turn pairs");
}

}  // namespace
}  // namespace lithe

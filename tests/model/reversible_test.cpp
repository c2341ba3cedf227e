// Reversible runs: the formula, gradients without kept activations, memory that does not grow with depth, and how far
// what is taken back is from what went in.
#include "lithe/model/reversible.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/base/rng.h"
#include "lithe/model/language_model.h"
#include "lithe/model/recompute_cost.h"
#include "support/block_variants.h"
#include "support/built_stack.h"
#include "support/errors.h"
#include "support/peak_of_tensors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::BuiltStack;
using testing::expect_close;
using testing::wave;

// y1 = x1 + F(x2), y2 = x2 + G(y1), block after block, with everything kept.
UnitOutput by_formula(const std::vector<const Unit*>& blocks, const Flow& flow, const State& state, const Pass& pass,
                      const std::vector<size_t>& blocks_of_layers) {
    Tensor x1 = flow.x_TBD, x2 = flow.x_TBD;
    UnitOutput all;
    Bag bag = flow.bag;
    size_t at = 0;
    for (size_t layer = 0; layer < blocks_of_layers.size(); ++layer) {
        State& after = all.state.parts.emplace_back();
        for (size_t i = 0; i < blocks_of_layers[layer]; ++i, ++at) {
            const State before = state.empty() ? State() : state.parts[layer].parts[i];
            BranchOutput out = blocks[at]->branch({x2, bag}, before, pass);
            bag.put(out.bag);
            after.parts.push_back(std::move(out.state));
            all.aux.append(std::move(out.aux));
            x1 = x1 + out.delta_TBD;
            std::swap(x1, x2);
        }
    }
    all.flow = {(x1 + x2) / 2, bag};
    return all;
}

struct Side {
    std::vector<Tensor> tensors;
    std::vector<std::string> names;
};

std::string settings_of(const testing::BlockVariant& variant) {
    std::string text = "dropout = 0.2\n";
    if (!variant.kind->traits.causal) text += "direction = \"bidirectional\"\n";
    text += "[blocks.k]\nkind = \"" + std::string(variant.kind->name) + "\"\n";
    for (const RawValue& value : variant.values) text += value.key + " = " + value.text + "\n";
    return text;
}

class ReversibleKinds : public ::testing::TestWithParam<int> {};

// Every kind and variant, three layers of it and a feed-forward, documents that begin inside, dropout, a state from
// before and another sequence to read.
TEST_P(ReversibleKinds, GradientsAreThoseOfTheFormula) {
    const testing::BlockVariant& variant = testing::block_variants()[size_t(GetParam())];
    const BlockTraits& traits = variant.kind->traits;
    if (traits.own_residual) {
        EXPECT_ERROR(BuiltStack("~(kf)x3", {}, "[blocks.k]\nkind = \"" + std::string(variant.kind->name) + "\"\n"),
                     ErrorKind::usage, "has a skip of its own");
        return;
    }
    const std::string more = settings_of(variant);
    const auto side = [&](bool formula) {
        StackOptions options;
        if (traits.reads_source()) options.given = {kSource, kSourcePadding};
        if (traits.reads_source()) options.source_width = 8;
        const BuiltStack built("~(kf)x3", {}, more, options);
        const ParameterStore& store = built.store;
        const ReversibleRun& run = *built.stack.reversible.at(0);
        const auto forward = [&](const Flow& flow, const State& state, const Pass& pass) {
            if (!formula) return run.forward(flow, state, pass);
            return by_formula(run.units(), flow, state, pass, {2, 2, 2});
        };
        Pass pass{.training = true, .causal = traits.causal, .memory = traits.causal ? 6 : 0};
        pass.keys.rows = 11;
        pass.keys.update = 5;
        Flow flow(wave({7, 2, 8}, 0.3, 0.1, 1).set_requires_grad(true));
        Tensor source;
        if (traits.reads_source()) flow.bag.put(kSource, source = wave({5, 2, 8}, 0.6, 0.3, 1).set_requires_grad(true));
        State state;
        if (traits.streams) {
            Flow before = flow;
            before.x_TBD = wave({7, 2, 8}, 0.8, 0.4, 1);
            state = forward(before, {}, pass).state.detach();
            Tensor flags = at::zeros({7, 2}, at::kByte);
            flags[3][1] = int(kDocumentBegins);
            pass.set_flags(flags);
        }
        const UnitOutput out = forward(flow, state, pass);
        Tensor loss = (out.flow.x_TBD * wave({7, 2, 8}, 0.9, 0.2, 1)).sum();
        for (const auto& [name, each] : out.aux.losses) loss = loss + each;
        // what a later layer would read
        for (const auto& [key, value] : out.flow.bag.entries())
            if (!value.is_same(source)) loss = loss + (value * wave(value.sizes(), 0.4, 0.6, 1)).sum();
        torch::autograd::backward({loss}, {});
        Side list;
        const auto add = [&](const std::string& name, const Tensor& tensor) {
            list.names.push_back(name);
            list.tensors.push_back(tensor);
        };
        add("y", out.flow.x_TBD.detach());
        add("loss", loss.detach());
        add("dx", flow.x_TBD.grad());
        if (source.defined()) add("dsource", source.grad());
        out.state.for_each(
            [&](const std::string& name, const StateTensor& each) { add("state " + name, each.value.detach()); });
        for (size_t i = 0; i < store.size(); ++i) add(store.spec(i).name, store.working(i).grad());
        return list;
    };
    const Side reversed = side(false), expected = side(true);
    ASSERT_EQ(reversed.names, expected.names);
    for (size_t i = 0; i < reversed.names.size(); ++i) {
        ASSERT_EQ(reversed.tensors[i].defined(), expected.tensors[i].defined()) << reversed.names[i];
        if (!expected.tensors[i].defined()) continue;
        const double scale = 1 + expected.tensors[i].abs().max().item<double>();
        expect_close(reversed.tensors[i], expected.tensors[i], 1e-11 * scale, reversed.names[i]);
    }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, ReversibleKinds, ::testing::Range(0, int(testing::block_variants().size())),
                         [](const auto& which) { return testing::block_variants()[size_t(which.param)].name; });

// The branches of the published measurements: tanh(x W), or a norm, a product, gelu and a product. It remembers what it
// read.
class PublishedBlock : public Block {
 public:
    PublishedBlock(Tensor first, Tensor second) : first_(std::move(first)), second_(std::move(second)) {}
    BranchOutput branch(const Tensor& x_TBD, const State&, const Call&) const override {
        if (remembers) read.push_back(x_TBD.detach().to(at::kDouble));
        if (!second_.defined()) return {at::tanh(at::matmul(x_TBD, first_)), {}, {}};
        return {at::linear(at::gelu(at::linear(at::layer_norm(x_TBD, {x_TBD.size(2)}), first_)), second_), {}, {}};
    }
    double flops_per_token(const CostShape&) const override { return 0; }
    double activation_numbers_per_token(const CostShape&) const override { return 0; }
    mutable std::vector<Tensor> read;
    bool remembers = false;

 private:
    Tensor first_, second_;
};

struct ChainOfPairs {
    static constexpr int64_t kWidth = 64;
    std::vector<Tensor> weights;
    std::vector<std::shared_ptr<PublishedBlock>> blocks;
    std::unique_ptr<ReversibleRun> run;
    at::ScalarType type;

    ChainOfPairs(int count, bool tanh, at::ScalarType type_ = at::kFloat) : type(type_) {
        std::vector<ReversibleRun::Layer> layers(static_cast<size_t>(count));
        for (ReversibleRun::Layer& layer : layers)
            for (int i = 0; i < 2; ++i) {
                blocks.push_back(std::make_shared<PublishedBlock>(weight(), tanh ? Tensor() : weight()));
                auto parts = std::make_shared<Shell::Parts>();
                parts->block = blocks.back();
                parts->kind = find_block_kind("feed_forward");
                parts->width = kWidth;
                layer.blocks.push_back(std::make_unique<Shell>(std::move(parts), "pair", 0));
            }
        run = std::make_unique<ReversibleRun>(std::move(layers));
    }
    // As torch's Linear begins.
    Tensor weight() {
        Tensor values = at::empty({kWidth, kWidth}, at::kDouble);
        for (int64_t i = 0; i < values.numel(); ++i)
            values.data_ptr<double>()[i] = (2 * random_unit(weights.size(), uint64_t(i)) - 1) / 8;
        weights.push_back(values.to(type).set_requires_grad(true));
        return weights.back();
    }
    Tensor input(int64_t rows) const { return wave({1, rows, kWidth}, 0.5, 0.1, 1, type); }
    void step(int64_t rows) {
        const Tensor x = input(rows).set_requires_grad(true);
        torch::autograd::backward({run->forward(x, {}, {.training = true}).flow.x_TBD.to(at::kDouble).sum()}, {});
    }
    // In tensors of what goes from layer to layer.
    double peak() {
        constexpr int64_t kRows = 2048;
        step(kRows);  // gradients of weights are there
        return double(testing::peak_of_tensors([&] { step(kRows); })) / double(kRows * kWidth * 4);
    }
    // Root mean square of the first block's error, relative to what it read, when the backward pass comes back to it.
    double drift() {
        blocks[0]->remembers = true;
        step(4096);
        const Tensor there = blocks[0]->read.at(0), back = blocks[0]->read.at(1);
        return ((back - there).norm() / there.norm()).item<double>();
    }
};

// Published for such layers: at most 13.03 activations at 4, 8 and 16 layers, against 22, 38 and 70.
TEST(Reversible, MemoryDoesNotGrowWithDepth) {
    const double four = ChainOfPairs(4, true).peak();
    EXPECT_LE(four, 13.03);
    for (int layers : {8, 16, 64}) EXPECT_NEAR(ChainOfPairs(layers, true).peak(), four, 0.1) << layers;
}

// Bound in fp32: 2 u L, with u the rounding of the streams. Under bf16 weights streams are fp32, too, but what a branch
// reads is rounded: it comes back as it was, or off by one rounding of 2^-8 where an error of fp32 moves a number over
// the border between two. These are few at first, and more with every layer.
TEST(Reversible, WhatIsTakenBackIsWhatWentIn) {
    for (int layers : {6, 12, 24, 48, 96}) {
        const double fp32 = ChainOfPairs(layers, false).drift();
        const double bf16 = ChainOfPairs(layers, false, at::kBFloat16).drift();
        std::printf("layers %d: drift %.2g in fp32, %.2g with bf16 weights\n", layers, fp32, bf16);
        EXPECT_LE(fp32, 2 * 0x1p-24 * layers) << layers;
        EXPECT_LE(bf16, 0x1p-12 * layers) << layers;
        EXPECT_LE(ChainOfPairs(layers, false, at::kDouble).drift(), 2 * 0x1p-53 * layers) << layers;
    }
}

// What stands before a run, or carries no gradient, changes nothing for its weights.
TEST(Reversible, ARunBehindWhatIsFrozenIsTrained) {
    ChainOfPairs chain(3, true);
    const Tensor x = chain.input(5);
    torch::autograd::backward({chain.run->forward(x, {}, {.training = true}).flow.x_TBD.sum()}, {});
    for (const Tensor& weight : chain.weights) EXPECT_TRUE(weight.grad().defined());
}

TEST(Reversible, LayersAreDroppedKeptAndNumberedOneByOne) {
    StackOptions options;
    options.layer_drop.method = LayerDropMethod::layerdrop;
    options.layer_drop.keep = 0.5;
    BuiltStack built("f~(sf)x4", {}, "", options);
    ASSERT_EQ(built.stack.layers.size(), 5u);
    EXPECT_EQ(built.store.spec(0).name, "body.layers.0.feed_forward.shell_norm.gain");
    const auto has = [&](const std::string& name) {
        for (size_t i = 0; i < built.store.size(); ++i)
            if (built.store.spec(i).name == name) return true;
        return false;
    };
    EXPECT_TRUE(has("body.layers.1.attention.qkv"));
    EXPECT_TRUE(has("body.layers.4.feed_forward.w1"));
    EXPECT_FALSE(has("body.layers.5.feed_forward.w1"));

    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    LayerDraws draws{.layers = {{}, {true, 2}, {false, 1}, {}, {false, 1}}};
    const Pass pass = Pass{.training = true, .memory = 6}.with(draws);
    const UnitOutput out = built.stack.root->forward(x, {}, pass);
    // the same of what is left, at the scales drawn
    const ReversibleRun& run = *built.stack.reversible.at(1);
    const auto blocks = run.units();
    const Tensor first = built.stack.root->units()[0]->forward(x, {}, Pass{.training = true, .memory = 6}).flow.x_TBD;
    const Pass twice = Pass{.training = true, .memory = 6}.with(BranchScale{2});
    Tensor x1 = first + blocks[0]->branch(first, {}, twice).delta_TBD;
    Tensor x2 = first + blocks[1]->branch(x1, {}, twice).delta_TBD;
    const Pass plain{.training = true, .memory = 6};
    x1 = x1 + blocks[4]->branch(x2, {}, plain).delta_TBD;
    x2 = x2 + blocks[5]->branch(x1, {}, plain).delta_TBD;
    expect_close(out.flow.x_TBD, (x1 + x2) / 2, 1e-12, "y");
    const State& dropped = out.state.parts[1].parts[1].parts[0];
    EXPECT_FALSE(dropped.empty()) << "attention remembers what came by";
}

TEST(Reversible, WhatCannotStandThereIsTold) {
    EXPECT_ERROR(BuiltStack("~(su)x2"), ErrorKind::usage, "block 'u' has a skip of its own");
    EXPECT_ERROR(BuiltStack("~(sf)x2", {}, "norm = \"post\"\n"), ErrorKind::usage, "norm before the block");
    EXPECT_ERROR(parse_layout("~s"), ErrorKind::usage, "column 1: '~' stands before a group");
    EXPECT_ERROR(parse_layout("s~(s?)"), ErrorKind::usage, "column 2: a reversible run holds no searched place");
    EXPECT_ERROR(parse_layout("~(s~(f))"), ErrorKind::usage, "holds no other one");
}

// Counted for the estimate of memory: two streams, and one block's activations at a time, each with its
// gradients.
TEST(Reversible, CostIsThatOfOneBlock) {
    const auto cost = [](int layers) {
        StackLoad load{.blocks = {}, .input = 1, .streams = 4};
        for (int i = 0; i < 2 * layers; ++i) load.blocks.push_back({.kept = 7, .flops = 3, .reversible = true});
        return cost_of({}, load);
    };
    for (int layers : {4, 64}) {
        EXPECT_EQ(cost(layers).held, 4);
        EXPECT_EQ(cost(layers).peak, 4 + 2 * 7 + 4);
        EXPECT_EQ(cost(layers).reruns, 6 * layers);
    }
}

}  // namespace
}  // namespace lithe

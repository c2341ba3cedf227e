// Halting runs around every kind, against a loop over positions: outputs, gradients, states, the loss of the steps.
#include "lithe/model/halting.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/model/language_model.h"
#include "support/block_variants.h"
#include "support/built_stack.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::BuiltStack;
using testing::expect_close;
using testing::wave;

constexpr int64_t kLength = 7;
constexpr int64_t kRows = 2;
constexpr double kThreshold = 0.8;
constexpr double kPonder = 0.3;

// A position at a time, from each step's h.
struct OfPosition {
    Tensor y, ponder;
    int64_t steps = 0;
};

OfPosition of_position(const std::vector<Tensor>& s, const std::vector<Tensor>& h) {
    OfPosition all;
    Tensor sum = at::zeros({}, at::kDouble);
    for (size_t n = 0; n < s.size(); ++n) {
        ++all.steps;
        const bool halts = n + 1 == s.size() || (sum + h[n]).item<double>() >= kThreshold;
        const Tensor weight = halts ? 1 - sum : h[n];
        all.y = n == 0 ? weight * s[n] : all.y + weight * s[n];
        sum = sum + h[n];
        if (!halts) continue;
        all.ponder = weight + double(all.steps);
        return all;
    }
    return all;
}

UnitOutput by_formula(const BuiltStack& built, const Flow& flow, const State& state, const Pass& pass) {
    const std::vector<const Unit*> steps = built.stack.root->units()[0]->units();
    const auto parameter = [&](const std::string& ending) {
        for (size_t i = 0; i < built.store.size(); ++i)
            if (built.store.spec(i).name == "body.layers.0.halting." + ending) return built.store.working(i);
        throw std::runtime_error("no halting unit");
    };
    UnitOutput all;
    State& after = all.state.parts.emplace_back();
    Flow now = flow;
    std::vector<std::vector<Tensor>> s(kLength * kRows), h(kLength * kRows);
    std::vector<bool> halted(kLength * kRows);
    for (size_t n = 0; n < steps.size(); ++n) {
        UnitOutput out = steps[n]->forward(now, state.empty() ? State() : state.parts[0].parts[n], pass);
        std::vector<Tensor> next;
        for (int64_t p = 0; p < kLength * kRows; ++p) {
            const Tensor before = now.x_TBD[p / kRows][p % kRows], made = out.flow.x_TBD[p / kRows][p % kRows];
            next.push_back(halted[size_t(p)] ? before : made);
            s[size_t(p)].push_back(next.back());
            h[size_t(p)].push_back(at::sigmoid((next.back() * parameter("weight")).sum() + parameter("bias")[0]));
            double sum = 0;
            for (const Tensor& each : h[size_t(p)]) sum += each.item<double>();
            halted[size_t(p)] = halted[size_t(p)] || sum >= kThreshold;
        }
        now = {at::stack(next).view(flow.x_TBD.sizes()), out.flow.bag};
        after.parts.push_back(std::move(out.state));
        all.aux.append(std::move(out.aux));
    }
    std::vector<Tensor> y;
    Tensor ponder = at::zeros({}, at::kDouble);
    for (size_t p = 0; p < s.size(); ++p) {
        const OfPosition one = of_position(s[p], h[p]);
        y.push_back(one.y);
        ponder = ponder + one.ponder / double(kLength * kRows);
    }
    all.flow = {at::stack(y).view(flow.x_TBD.sizes()), now.bag};
    all.aux.losses.emplace_back("ponder", kPonder * ponder);
    return all;
}

struct Side {
    std::vector<Tensor> tensors;
    std::vector<std::string> names;
    void add(const std::string& name, const Tensor& tensor) {
        names.push_back(name);
        tensors.push_back(tensor);
    }
};

std::string settings_of(const testing::BlockVariant& variant) {
    std::string text = "dropout = 0.2\n";
    if (!variant.kind->traits.causal) text += "direction = \"bidirectional\"\n";
    text += "[blocks.k]\nkind = \"" + std::string(variant.kind->name) + "\"\n";
    for (const RawValue& value : variant.values) text += value.key + " = " + value.text + "\n";
    return text + "[blocks.halting]\nthreshold = 0.8\nponder = 0.3\nbias = -0.5\n";
}

class HaltingKinds : public ::testing::TestWithParam<int> {};

// Every kind and variant with documents that begin inside, dropout, a state from before and another sequence to read.
TEST_P(HaltingKinds, IsTheFormula) {
    const testing::BlockVariant& variant = testing::block_variants()[size_t(GetParam())];
    const BlockTraits& traits = variant.kind->traits;
    const auto side = [&](bool formula) {
        StackOptions options;
        if (traits.reads_source()) options.given = {kSource, kSourcePadding};
        if (traits.reads_source()) options.source_width = 8;
        const BuiltStack built("@[kf]x3", {}, settings_of(variant), options);
        const auto forward = [&](const Flow& flow, const State& state, const Pass& pass) {
            return formula ? by_formula(built, flow, state, pass) : built.stack.root->forward(flow, state, pass);
        };
        Pass pass{.training = true, .causal = traits.causal, .memory = traits.causal ? 6 : 0};
        pass.keys.rows = 11;
        pass.keys.update = 5;
        Flow flow(wave({kLength, kRows, 8}, 0.3, 0.1, 1).set_requires_grad(true));
        Tensor source;
        if (traits.reads_source()) flow.bag.put(kSource, source = wave({5, 2, 8}, 0.6, 0.3, 1).set_requires_grad(true));
        State state;
        if (traits.streams) {
            Flow before = flow;
            before.x_TBD = wave({kLength, kRows, 8}, 0.8, 0.4, 1);
            state = built.stack.root->forward(before, {}, pass).state.detach();
            Tensor flags = at::zeros({kLength, kRows}, at::kByte);
            flags[3][1] = int(kDocumentBegins);
            pass.set_flags(flags);
        }
        const UnitOutput out = forward(flow, state, pass);
        Tensor loss = (out.flow.x_TBD * wave({kLength, kRows, 8}, 0.9, 0.2, 1)).sum();
        for (const auto& [name, each] : out.aux.losses) loss = loss + each;
        torch::autograd::backward({loss}, {});
        Side list;
        list.add("y", out.flow.x_TBD.detach());
        list.add("loss", loss.detach());
        list.add("dx", flow.x_TBD.grad());
        if (source.defined()) list.add("dsource", source.grad());
        out.state.for_each(
            [&](const std::string& name, const StateTensor& each) { list.add("state " + name, each.value.detach()); });
        for (size_t i = 0; i < built.store.size(); ++i)
            list.add(built.store.spec(i).name, built.store.working(i).grad());
        return list;
    };
    const Side halted = side(false), expected = side(true);
    ASSERT_EQ(halted.names, expected.names);
    for (size_t i = 0; i < halted.names.size(); ++i) {
        ASSERT_EQ(halted.tensors[i].defined(), expected.tensors[i].defined()) << halted.names[i];
        if (!expected.tensors[i].defined()) continue;
        const double scale = 1 + expected.tensors[i].abs().max().item<double>();
        expect_close(halted.tensors[i], expected.tensors[i], 1e-11 * scale, halted.names[i]);
    }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, HaltingKinds, ::testing::Range(0, int(testing::block_variants().size())),
                         [](const auto& which) { return testing::block_variants()[size_t(which.param)].name; });

TEST(HaltingRun, OneStepIsTheGroup) {
    const BuiltStack one("@(sf)"), plain("(sf)");
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1);
    const Pass pass{.training = true, .memory = 6};
    const UnitOutput out = one.stack.root->forward(x, {}, pass);
    expect_close(out.flow.x_TBD, plain.stack.root->forward(x, {}, pass).flow.x_TBD, 1e-12, "y");
    ASSERT_EQ(out.aux.losses.size(), 1u);
    EXPECT_NEAR(out.aux.losses[0].second.item<double>(), 0.01 * 2, 1e-12) << "one step, and all of the remainder";
    EXPECT_TRUE(one.stack.root->forward(x, {}, Pass{.memory = 6}).aux.losses.empty()) << "training alone has losses";
}

TEST(HaltingRun, IsOneLayerWithOneUnit) {
    StackOptions options;
    options.layer_drop.method = LayerDropMethod::layerdrop;
    options.layer_drop.keep = 0.5;
    const BuiltStack built("f@(sf)x3[@[s]x2f]x2", {}, "", options);
    EXPECT_EQ(built.stack.root->size(), 4u);
    EXPECT_EQ(built.stack.layers.size(), 4u);
    std::vector<std::string> names;
    for (size_t i = 0; i < built.store.size(); ++i)
        if (built.store.spec(i).name.find(".halting.weight") != std::string::npos)
            names.push_back(built.store.spec(i).name);
    EXPECT_EQ(names, (std::vector<std::string>{"body.layers.1.halting.weight", "body.layers.2.halting.weight"}));
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1);
    const LayerDraws draws{.layers = {{}, {false, 1}, {false, 1}, {false, 1}}};
    const UnitOutput out = built.stack.root->forward(x, {}, Pass{.training = true, .memory = 6}.with(draws));
    const Tensor first = built.stack.root->units()[0]->forward(x, {}, Pass{.training = true, .memory = 6}).flow.x_TBD;
    expect_close(out.flow.x_TBD, first, 1e-12, "the others are left out");
    EXPECT_FALSE(out.state.parts[1].parts[2].parts[0].empty()) << "attention remembers what came by";
}

// Steps are counted on where layers are, in one stack with them.
TEST(HaltingRun, CoordinatesOfItsSteps) {
    const auto model = [](const std::string& layout) {
        const Config config =
            parse_config("[model]\nwidth = 8\npositions = \"coordinates\"\nlayout = \"" + layout + "\"\n", "test");
        auto made = std::make_unique<LanguageModel>(config, 20);
        made->materialize(at::kDouble, at::kDouble, at::kCPU, 3);
        const at::NoGradGuard no_grad;
        for (size_t i = 0; i < made->parameters().size(); ++i) {
            const Tensor value = made->parameters().working(i);
            const std::string& name = made->parameters().spec(i).name;
            if (name.find("halting.bias") != std::string::npos) value.fill_(-100);  // the last step has all
            else value.copy_(wave(value.sizes(), 0.7, 0.3, 0.5));
        }
        return made;
    };
    const Tensor ids = (at::arange(8, at::kLong) * 3 % 20).view({4, 2});
    const auto halting = model("f@[s]x2f"), plain = model("f[s]x2f");
    expect_close(halting->encode(ids, halting->pass(false)), plain->encode(ids, plain->pass(false)), 1e-9, "h");
}

TEST(HaltingRun, LowPrecisionIsNear) {
    const auto output = [](at::ScalarType type) {
        const Config config = testing::small("@[sf]x3", "[blocks.halting]\nbias = -0.5\n");
        LanguageModel model(config, 20);
        model.materialize(at::kFloat, type, at::kCPU, 3);
        const Tensor ids = (at::arange(8, at::kLong) * 3 % 20).view({4, 2});
        const Tensor h = model.encode(ids, model.pass(false));
        EXPECT_EQ(h.scalar_type(), type);
        return h.detach().to(at::kDouble);
    };
    const Tensor exact = output(at::kFloat);
    expect_close(output(at::kBFloat16), exact, 0.05 * exact.abs().max().item<double>(), "h");
}

TEST(HaltingRun, WhatCannotBeIsTold) {
    EXPECT_ERROR(BuiltStack("<halting>f", {}, "[blocks.halting]\nkind = \"attention\"\n"), ErrorKind::usage,
                 "column 1: halting is what '@' before a group means");
    EXPECT_ERROR(BuiltStack("@[f]x2", {}, "[blocks.halting]\nkind = \"attention\"\n"), ErrorKind::usage,
                 "no block of kind 'attention'");
    EXPECT_ERROR(BuiltStack("@[f]x2", {}, "[blocks.halting]\nthreshhold = 0.5\n"), ErrorKind::usage, "threshold");
    EXPECT_ERROR(BuiltStack("@[f]x2", {}, "[blocks.halting]\nponder = -1\n"), ErrorKind::usage, "ponder");
}

}  // namespace
}  // namespace lithe

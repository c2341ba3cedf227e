// The frame's proof: throw-away wrappers that change how a group is run, without touching a kind.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "lithe/ops/node.h"
#include "support/built_stack.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::BuiltStack;
using testing::expect_close;
using testing::wave;

// Runs the group with a gate of 0 or 1: y = x + gate (group(x) - x). A dropped group costs nothing and keeps its state.
class GatedGroup : public Unit {
 public:
    GatedGroup(std::unique_ptr<Unit> group, const bool& open) : group_(std::move(group)), open_(open) {
        if (std::string name = group_->own_residual(); !name.empty())
            fail_usage("a dropped group needs y = x + branch(x), and block '" + name + "' has a skip of its own",
                       "layout");
    }
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override {
        if (!open_) return {flow, state, {}};
        return group_->forward(flow, state, pass);
    }
    std::string own_residual() const override { return ""; }

 private:
    std::unique_ptr<Unit> group_;
    const bool& open_;
};

TEST(Wrapper, DroppedGroupIsTheIdentity) {
    bool open = true;
    GroupWrapper wrap = [&](std::unique_ptr<Unit> group) {
        return std::make_unique<GatedGroup>(std::move(group), open);
    };
    BuiltStack gated("(sf)x2", wrap), plain("(sf)x2");
    Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    Pass pass{.memory = 6};
    EXPECT_TRUE(at::equal(gated.stack.root->forward(x, {}, pass).flow.x_TBD,
                          plain.stack.root->forward(x, {}, pass).flow.x_TBD));
    open = false;
    EXPECT_TRUE(at::equal(gated.stack.root->forward(x, {}, pass).flow.x_TBD, x));
    EXPECT_ERROR(BuiltStack("(fu)", wrap), ErrorKind::usage, "block 'srupp' has a skip of its own");
}

// Keeps only the group's input and runs it again in the backward pass. Dropout is counter-based, so the second run is
// the same.
struct RecomputeNode : torch::autograd::Node {
    const Unit* group = nullptr;
    int* runs = nullptr;
    Flow flow;
    State state;
    Pass pass;
    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        at::AutoGradMode enable(true);
        Flow from = flow;
        State before = state;
        std::vector<Tensor*> inputs = differentiable_inputs(from, before);
        for (Tensor* each : inputs) *each = each->detach().set_requires_grad(true);
        ++*runs;
        torch::autograd::backward({group->forward(from, before, pass).flow.x_TBD}, {gradients[0]});
        torch::autograd::variable_list list;
        for (Tensor* each : inputs) list.push_back(each->grad());
        return list;
    }
};

class RecomputedGroup : public Unit {
 public:
    RecomputedGroup(std::unique_ptr<Unit> group, int& runs) : group_(std::move(group)), runs_(runs) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override {
        auto node = std::shared_ptr<RecomputeNode>(new RecomputeNode(), torch::autograd::deleteNode);
        node->group = group_.get();
        node->runs = &runs_;
        node->flow = flow;
        node->state = state;
        node->pass = pass;
        torch::autograd::edge_list edges;
        for (Tensor* each : differentiable_inputs(node->flow, node->state))
            edges.push_back(torch::autograd::impl::gradient_edge(*each));
        node->set_next_edges(std::move(edges));
        UnitOutput out;
        {
            at::NoGradGuard no_grad;
            ++runs_;
            out = group_->forward(flow, state, pass);
        }
        out.flow.x_TBD = out.flow.x_TBD.detach();
        torch::autograd::set_history(out.flow.x_TBD, node);
        return out;
    }
    std::string own_residual() const override { return group_->own_residual(); }

 private:
    std::unique_ptr<Unit> group_;
    int& runs_;
};

TEST(Wrapper, RecomputedGroupHasTheSameGradients) {
    int runs = 0;
    GroupWrapper wrap = [&](std::unique_ptr<Unit> group) {
        return std::make_unique<RecomputedGroup>(std::move(group), runs);
    };
    const std::string dropout = "[blocks.u]\ndropout = 0.3\nattention_dropout = 0.2\n";
    BuiltStack recomputed("(usf)x2", wrap, dropout), plain("(usf)x2", {}, dropout);
    Pass pass{.training = true, .memory = 6};
    pass.keys.rows = 11;
    auto gradients = [&](BuiltStack& built) {
        Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0).set_requires_grad(true);
        State state = built.stack.root->forward(wave({4, 2, 8}, 0.7, 0.4, 1.0), {}, pass).state.detach();
        Tensor y = built.stack.root->forward(x, state, pass).flow.x_TBD;
        torch::autograd::backward({(y * wave(y.sizes(), 0.9, 0.2, 1.0)).sum()}, {});
        std::vector<Tensor> list = {y.detach(), x.grad()};
        for (size_t i = 0; i < built.store.size(); ++i) list.push_back(built.store.working(i).grad());
        return list;
    };
    auto a = gradients(recomputed), b = gradients(plain);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
        ASSERT_EQ(a[i].defined(), b[i].defined()) << i;
        if (a[i].defined()) { EXPECT_TRUE(at::equal(a[i], b[i])) << "gradient " << i; }
    }
    EXPECT_EQ(runs, 2 + 4) << "two groups: once for the state, then forward and backward";
}

// A group that reads another sequence: gradients of the source, too, which stands in the bag.
TEST(Wrapper, RecomputedGroupHandsOnTheBagsGradients) {
    int runs = 0;
    GroupWrapper wrap = [&](std::unique_ptr<Unit> group) {
        return std::make_unique<RecomputedGroup>(std::move(group), runs);
    };
    const std::string dropout = "dropout = 0.3\n[blocks.c]\nattention_dropout = 0.2\n";
    const StackOptions given{.given = {kSource, kSourcePadding}, .source_width = 8};
    BuiltStack recomputed("(scf)x2", wrap, dropout, given), plain("(scf)x2", {}, dropout, given);
    Pass pass{.training = true};
    pass.keys.rows = 11;
    auto gradients = [&](BuiltStack& built) {
        Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0).set_requires_grad(true),
               source = wave({5, 2, 8}, 0.7, 0.2, 1.0).set_requires_grad(true);
        Bag bag;
        bag.put(kSource, source);
        Tensor y = built.stack.root->forward({x, bag}, {}, pass).flow.x_TBD;
        torch::autograd::backward({(y * wave(y.sizes(), 0.9, 0.2, 1.0)).sum()}, {});
        std::vector<Tensor> list = {y.detach(), x.grad(), source.grad()};
        for (size_t i = 0; i < built.store.size(); ++i) list.push_back(built.store.working(i).grad());
        return list;
    };
    auto a = gradients(recomputed), b = gradients(plain);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i], 1e-12, "gradient " + std::to_string(i));
}

constexpr BagKey kSecondStream{"a second stream"};

// Two streams, of which each is moved by a branch of the other (Gomez et al. 2017): x1 + f(x2), x2 + g(x1).
class ReversedStreams : public Unit {
 public:
    explicit ReversedStreams(std::unique_ptr<Unit> group) : group_(std::move(group)) {}
    UnitOutput forward(const Flow& flow, const State&, const Pass& pass) const override {
        Tensor first = flow.x_TBD, second = flow.bag.get(kSecondStream);
        for (const Unit* unit : group_->units()) {
            const Tensor moved = first + unit->branch(second, {}, pass).delta_TBD;
            first = second;
            second = moved;
        }
        UnitOutput out{{first, flow.bag}, {}, {}};
        out.flow.bag.put(kSecondStream, second);
        return out;
    }
    // What went in, of what came out.
    Flow inverse(const Flow& flow, const Pass& pass) const {
        Tensor first = flow.x_TBD, second = flow.bag.get(kSecondStream);
        const auto units = group_->units();
        for (size_t i = units.size(); i-- > 0;) {
            const Tensor before = second - units[i]->branch(first, {}, pass).delta_TBD;
            second = first;
            first = before;
        }
        Flow in{first, flow.bag};
        in.bag.put(kSecondStream, second);
        return in;
    }
    std::string own_residual() const override { return ""; }

 private:
    std::unique_ptr<Unit> group_;
};

TEST(Wrapper, TwoStreamsAreReversed) {
    const ReversedStreams* reversed = nullptr;
    GroupWrapper wrap = [&](std::unique_ptr<Unit> group) {
        auto made = std::make_unique<ReversedStreams>(std::move(group));
        reversed = made.get();
        return made;
    };
    BuiltStack built("(sfsf)", wrap, "dropout = 0.2\n");
    Pass pass{.training = true};
    Flow in(wave({4, 2, 8}, 0.3, 0.1, 1.0));
    in.bag.put(kSecondStream, wave({4, 2, 8}, 0.5, 0.7, 1.0));
    const Flow out = built.stack.root->forward(in, {}, pass).flow, back = reversed->inverse(out, pass);
    EXPECT_GT((out.x_TBD - in.x_TBD).abs().max().item<double>(), 0.1);
    expect_close(back.x_TBD, in.x_TBD, 1e-12, "first stream");
    expect_close(back.bag.get(kSecondStream), in.bag.get(kSecondStream), 1e-12, "second stream");
}

// One time step after another, each seeing what every layer made of the step before (Fan et al. 2020, "Feedback
// Transformer", with the mean of the layers in place of learned weights).
class StepByStep : public Unit {
 public:
    StepByStep(std::unique_ptr<Unit> group, double feedback) : group_(std::move(group)), feedback_(feedback) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override {
        State now = state;
        std::vector<Tensor> steps;
        Tensor memory;
        for (int64_t t = 0; t < flow.x_TBD.size(0); ++t) {
            Flow step{flow.x_TBD.narrow(0, t, 1), flow.bag};
            if (memory.defined()) step.x_TBD = step.x_TBD + feedback_ * memory;
            std::vector<Tensor> outputs;
            State next;
            const auto units = group_->units();
            for (size_t i = 0; i < units.size(); ++i) {
                UnitOutput out = units[i]->forward(step, i < now.parts.size() ? now.parts[i] : State(), pass);
                step = std::move(out.flow);
                outputs.push_back(step.x_TBD);
                next.parts.push_back(std::move(out.state));
            }
            memory = at::stack(outputs).mean(0);
            now = std::move(next);
            steps.push_back(step.x_TBD);
        }
        return {{at::cat(steps), flow.bag}, now, {}};
    }
    std::string own_residual() const override { return group_->own_residual(); }

 private:
    std::unique_ptr<Unit> group_;
    double feedback_;
};

TEST(Wrapper, OneStepAfterAnotherWithAMemoryOverLayers) {
    for (const char* layout : {"(sf)x2", "(usf)(ru)", "(lf)"})
        for (const double feedback : {0.0, 0.5}) {
            GroupWrapper wrap = [&](std::unique_ptr<Unit> group) {
                return std::make_unique<StepByStep>(std::move(group), feedback);
            };
            BuiltStack stepped(layout, wrap), plain(layout);
            const Pass pass{.memory = 6};
            const Tensor x = wave({5, 2, 8}, 0.3, 0.1, 1.0);
            const Tensor y = stepped.stack.root->forward(x, {}, pass).flow.x_TBD,
                         expected = plain.stack.root->forward(x, {}, pass).flow.x_TBD;
            const double difference = (y - expected).abs().max().item<double>();
            if (feedback == 0) {
                EXPECT_LT(difference, 1e-10) << layout;
            } else {
                EXPECT_GT(difference, 1e-3) << layout;
            }
        }
}

// A unit that reads and writes what it is told to.
class BagUnit : public Unit {
 public:
    BagUnit(std::string label, BagTrace::Uses uses) : label_(std::move(label)), uses_(std::move(uses)) {}
    UnitOutput forward(const Flow& flow, const State&, const Pass&) const override { return {flow, {}, {}}; }
    void trace_bag(BagTrace& trace) const override { trace.follow(label_, uses_); }
    std::string own_residual() const override { return ""; }

 private:
    std::string label_;
    BagTrace::Uses uses_;
};

TEST(Bag, AReaderNeedsAWriterBeforeIt) {
    constexpr BagKey values{"the first layer's values"};
    const auto problems_of = [&](bool writer_first, const std::vector<size_t>& kept) {
        std::vector<std::unique_ptr<Unit>> units;
        units.push_back(std::make_unique<BagUnit>("w", BagTrace::Uses{.writes = {values}}));
        units.push_back(std::make_unique<BagUnit>("r", BagTrace::Uses{.reads = {values}}));
        if (!writer_first) std::swap(units[0], units[1]);
        Sequence sequence(std::move(units));
        sequence.keep(kept);
        Problems problems;
        check_bag_uses(sequence, {}, problems);
        return problems.lines();
    };
    EXPECT_TRUE(problems_of(true, {0, 1}).empty());
    ASSERT_EQ(problems_of(false, {0, 1}).size(), 1u);
    EXPECT_NE(problems_of(false, {0, 1})[0].find("block 'r' reads the first layer's values"), std::string::npos);
    EXPECT_EQ(problems_of(true, {1}).size(), 1u) << "its writer was left out";
    EXPECT_TRUE(problems_of(true, {0}).empty());
}

TEST(Bag, WhatALayerWritesThatMayBeDroppedIsForItsOwnReaders) {
    constexpr BagKey values{"the first layer's values"};
    const auto unit = [&](const char* label, BagTrace::Uses uses) {
        return std::make_unique<BagUnit>(label, std::move(uses));
    };
    const auto problems_of = [&](bool writes, BagTrace::Uses after) {
        std::vector<std::unique_ptr<Unit>> layer, layers;
        layer.push_back(unit("w", {.writes = writes ? std::vector{values} : std::vector<BagKey>{}}));
        if (writes) layer.push_back(unit("inside", {.reads = {values}}));
        layers.push_back(std::make_unique<DroppableLayer>(std::make_unique<Sequence>(std::move(layer)),
                                                          std::make_shared<DropPlace>()));
        layers.push_back(unit("after", std::move(after)));
        Problems problems;
        check_bag_uses(Sequence(std::move(layers)), {}, problems);
        return problems.lines();
    };
    const auto lines = problems_of(true, {.reads = {values}});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_NE(lines[0].find("block 'after' reads"), std::string::npos);
    EXPECT_TRUE(problems_of(true, {.recalls = {values}}).empty()) << "it goes on without where the layer is dropped";
    EXPECT_EQ(problems_of(false, {.recalls = {values}}).size(), 1u);
}

}  // namespace
}  // namespace lithe

// Recomputation: counts and peaks of the schedules, and the same bits as without.
#include "lithe/model/recompute.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/model/recompute_cost.h"
#include "support/block_variants.h"
#include "support/built_stack.h"
#include "support/errors.h"
#include "support/peak_of_tensors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::BuiltStack;
using testing::wave;

int64_t by_recurrence(int64_t length, int64_t slots) {
    static std::map<std::pair<int64_t, int64_t>, int64_t> known;
    if (length == 1) return 0;
    if (slots == 1) return length * (length - 1) / 2;
    int64_t& best = known[{length, slots}];
    if (best > 0) return best;
    best = length * length;
    for (int64_t j = 1; j < length; ++j)
        best = std::min(best, j + by_recurrence(length - j, slots - 1) + by_recurrence(j, slots));
    return best;
}

TEST(Recompute, ChainsAreRunAgainAsSeldomAsCanBe) {
    EXPECT_EQ(reruns_of_chain(10, 3), 15);
    EXPECT_EQ(reruns_of_chain(16, 4), 27);
    EXPECT_EQ(reruns_of_chain(36, 6), 72);
    EXPECT_EQ(reruns_of_chain(36, 3), 110);
    EXPECT_EQ(reruns_of_chain(100, 5), 316);
    for (int64_t length = 1; length < 60; ++length)
        for (int64_t slots = 1; slots < 8; ++slots)
            ASSERT_EQ(reruns_of_chain(length, slots), by_recurrence(length, slots)) << length << ", " << slots;
}

// A layer as in the published measurement: y = tanh(W x), which keeps one tensor. It counts its runs.
class TanhLayer : public Unit {
 public:
    TanhLayer(Tensor weight, int64_t& runs) : weight_(std::move(weight)), runs_(runs) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass&) const override {
        ++runs_;
        return {{at::tanh(at::matmul(flow.x_TBD, weight_)), flow.bag}, state, {}};
    }
    std::string own_residual() const override { return ""; }

 private:
    Tensor weight_;
    int64_t& runs_;
};

struct ChainOfLayers {
    int64_t runs = 0;
    std::vector<Tensor> weights;
    std::unique_ptr<LayerSequence> layers;

    ChainOfLayers(int count, const Recompute& recompute) {
        std::vector<std::unique_ptr<Unit>> units;
        for (int i = 0; i < count; ++i) {
            weights.push_back(wave({16, 16}, 0.3 + 0.01 * i, 0.2, 0.4).set_requires_grad(true));
            units.push_back(std::make_unique<TanhLayer>(weights.back(), runs));
        }
        layers = std::make_unique<LayerSequence>(std::move(units));
        layers->set_recompute(recompute);
    }

    // Gradients of a training step.
    std::vector<Tensor> gradients(int64_t rows = 4) {
        const Tensor x = wave({1, rows, 16}, 0.5, 0.1, 1).set_requires_grad(true);
        torch::autograd::backward({layers->forward(x, {}, {.training = true}).flow.x_TBD.sum()}, {});
        std::vector<Tensor> all = {x.grad()};
        for (const Tensor& weight : weights) all.push_back(weight.grad());
        return all;
    }

    // In tensors of what goes from layer to layer.
    double peak() {
        const int64_t rows = 4096;
        gradients(rows);  // gradients of weights are there
        return double(testing::peak_of_tensors([&] { gradients(rows); })) / double(rows * 16 * 8);
    }
};

TEST(Recompute, LayersRunAsOftenAsTheScheduleSays) {
    const std::vector<Tensor> plain = ChainOfLayers(16, {}).gradients();
    const auto runs = [&](const char* how) {
        ChainOfLayers chain(16, parse_recompute(how));
        const std::vector<Tensor> gradients = chain.gradients();
        for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::equal(gradients[i], plain[i])) << how << ", " << i;
        return chain.runs;
    };
    EXPECT_EQ(runs("none"), 16);
    for (int group : {1, 2, 4, 8}) EXPECT_EQ(runs(("uniform:" + std::to_string(group)).c_str()), 32 - group);
    EXPECT_EQ(runs("uniform:16"), 16) << "the last group's backward pass comes at once";
    EXPECT_EQ(runs("uniform:5"), 31);
    EXPECT_EQ(runs("uniform"), 28) << "groups of the square root";
    EXPECT_EQ(runs("optimal:4"), 16 + 27);
    EXPECT_EQ(runs("optimal:1"), 16 + 120);
    EXPECT_EQ(runs("optimal:16"), 16 + 15);
}

// With every group recomputed the published peaks are n / k + k + 3; the last one is run as it is here.
TEST(Recompute, PeaksAreThoseOfTheScheduleAndNoMore) {
    const double plain = ChainOfLayers(36, {}).peak();
    EXPECT_NEAR(plain, 39, 0.1);
    for (int k : {2, 3, 4, 6, 9, 12, 18}) {
        const double peak = ChainOfLayers(36, {RecomputeMethod::uniform, k}).peak();
        EXPECT_LE(peak, 36.0 / k + k + 3.1) << k;
        EXPECT_GE(peak, 36.0 / k + k) << k;
    }
    for (int slots : {1, 3, 6})
        EXPECT_NEAR(ChainOfLayers(36, {RecomputeMethod::optimal, slots}).peak(), slots + 5, 0.1) << slots;
}

TEST(Recompute, SettingsAreReadAndWrongOnesTold) {
    for (const char* text : {"none", "uniform", "uniform:3", "optimal:12", "selective", "memory"})
        EXPECT_EQ(to_string(parse_recompute(text)), text);
    for (const char* text :
         {"", "unifrom", "uniform:", "uniform:0", "uniform:-1", "uniform:x", "uniform:5000", "selective:2", "none:1"})
        EXPECT_ERROR(parse_recompute(text), ErrorKind::usage, "train.recompute");
    EXPECT_ERROR(testing::small("u", "[train]\nrecompute = \"al\"\n"), ErrorKind::usage, "train.recompute");
    EXPECT_ERROR(testing::small("?", "[search]\nsupernet = true\n[train]\nrecompute = \"uniform\"\n"), ErrorKind::usage,
                 "keeps its activations");
}

// Every kind, four layers of it, with documents that begin inside, padding, dropout and a state from before.
class RecomputeKinds : public ::testing::TestWithParam<int> {};

TEST_P(RecomputeKinds, TheSameBitsAsWithout) {
    const testing::BlockVariant& variant = testing::block_variants()[size_t(GetParam())];
    const bool reads_source = variant.kind->traits.reads_source();
    std::string settings = variant.kind->traits.causal ? "" : "direction = \"bidirectional\"\n";
    if (!variant.kind->traits.causal) settings += "memory = 0\n";
    std::string blocks = "[blocks.k]\nkind = \"" + std::string(variant.kind->name) + "\"\n";
    for (const RawValue& value : variant.values) blocks += value.key + " = " + value.text + "\n";
    const std::string head = "[model]\nwidth = 8\nheads = 2\ndropout = 0.2\nlayout = \"(k)x4\"\n" +
                             (settings.find("memory") == std::string::npos ? "memory = 6\n" : std::string()) + settings;
    const Config config = parse_config(head + blocks, "test");
    const auto gradients = [&](const char* how) {
        StackOptions options{.recomputable = true};
        if (reads_source) options.given = {kSource, kSourcePadding};
        if (reads_source) options.source_width = 8;
        const testing::BuiltStack built(config, options);
        const Stack& stack = built.stack;
        const Recompute recompute = parse_recompute(how);
        if (recompute.method == RecomputeMethod::selective) {
            for (const AppliedBlock& block : stack.blocks) block.recomputable->set_recomputed(true);
        } else {
            stack.root->set_recompute(recompute);
        }
        Pass pass{.training = true, .causal = variant.kind->traits.causal, .memory = config.model.memory};
        pass.keys.rows = 11;
        pass.keys.update = 5;
        Flow flow(wave({7, 2, 8}, 0.3, 0.1, 1).set_requires_grad(true));
        Tensor source;
        if (reads_source) flow.bag.put(kSource, source = wave({5, 2, 8}, 0.6, 0.3, 1).set_requires_grad(true));
        State state;
        if (variant.kind->traits.streams) {
            Flow before = flow;
            before.x_TBD = wave({7, 2, 8}, 0.8, 0.4, 1);
            state = stack.root->forward(before, {}, pass).state.detach();
            Tensor flags = at::zeros({7, 2}, at::kByte);
            flags[3][1] = int(kDocumentBegins);
            pass.set_flags(flags);
        }
        UnitOutput out = stack.root->forward(flow, state, pass);
        Tensor loss = (out.flow.x_TBD * wave({7, 2, 8}, 0.9, 0.2, 1)).sum();
        for (const auto& [name, value] : out.aux.losses) loss = loss + value;
        torch::autograd::backward({loss}, {});
        std::vector<Tensor> list = {out.flow.x_TBD.detach(), flow.x_TBD.grad()};
        if (source.defined()) list.push_back(source.grad());
        out.state.for_each([&](const std::string&, const StateTensor& each) { list.push_back(each.value.detach()); });
        for (size_t i = 0; i < built.store.size(); ++i) list.push_back(built.store.working(i).grad());
        return list;
    };
    const std::vector<Tensor> plain = gradients("none");
    for (const char* how : {"uniform:1", "uniform:3", "optimal:1", "optimal:2", "selective"}) {
        const std::vector<Tensor> other = gradients(how);
        ASSERT_EQ(other.size(), plain.size());
        for (size_t i = 0; i < plain.size(); ++i) {
            ASSERT_EQ(other[i].defined(), plain[i].defined()) << how << ", tensor " << i;
            if (!plain[i].defined()) continue;
            if (reads_source && i == 2) {
                testing::expect_close(other[i], plain[i], 1e-14, "the source's gradient, summed by group");
            } else {
                EXPECT_TRUE(at::equal(other[i], plain[i])) << how << ", tensor " << i;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, RecomputeKinds, ::testing::Range(0, int(testing::block_variants().size())),
                         [](const auto& which) { return testing::block_variants()[size_t(which.param)].name; });

// Input that takes no gradient, as of frozen embeddings: the layers' weights still get theirs.
TEST(Recompute, LayersBehindWhatIsFrozenAreTrained) {
    for (const char* how : {"uniform:1", "optimal:2"}) {
        ChainOfLayers chain(4, parse_recompute(how)), plain(4, {});
        for (ChainOfLayers* each : {&chain, &plain}) {
            const Tensor x = wave({1, 3, 16}, 0.5, 0.1, 1);
            torch::autograd::backward({each->layers->forward(x, {}, {.training = true}).flow.x_TBD.sum()}, {});
        }
        for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(chain.weights[i].grad(), plain.weights[i].grad())) << i;
    }
}

TEST(Recompute, NothingRunsAgainOutsideTraining) {
    ChainOfLayers chain(4, {RecomputeMethod::uniform, 1});
    chain.layers->forward(wave({1, 3, 16}, 0.5, 0.1, 1), {}, {});
    EXPECT_EQ(chain.runs, 4);
}

// The counts that memory is estimated by are those that were measured above.
TEST(Recompute, CostsAreCounted) {
    StackLoad load{.blocks = {}, .input = 1};
    for (size_t i = 0; i < 36; ++i) load.blocks.push_back({.layer = i, .kept = 1, .flops = 1, .alone = true});
    const auto cost = [&](RecomputeMethod method, int64_t number) { return cost_of({method, number}, load); };
    EXPECT_EQ(cost(RecomputeMethod::none, 0).peak, 36);
    EXPECT_EQ(cost(RecomputeMethod::none, 0).reruns, 0);
    EXPECT_EQ(cost(RecomputeMethod::uniform, 6).peak, 5 + 6);
    EXPECT_EQ(cost(RecomputeMethod::uniform, 6).reruns, 30);
    EXPECT_EQ(cost(RecomputeMethod::optimal, 6).reruns, 72);
    EXPECT_EQ(cost(RecomputeMethod::optimal, 3).reruns, 110);
    EXPECT_EQ(cost(RecomputeMethod::optimal, 3).peak, 3 + 1);
    EXPECT_EQ(cost(RecomputeMethod::selective, 0).reruns, 0) << "a block that keeps its input alone gains nothing";
    for (BlockLoad& block : load.blocks) block.kept = 5;
    load.blocks[7].kept = 50;
    EXPECT_EQ(cost(RecomputeMethod::selective, 0).reruns, 9) << "a quarter";
    EXPECT_TRUE(selected_blocks(load)[7]);
    EXPECT_EQ(cost(RecomputeMethod::selective, 0).held, 9 + 27 * 5);
}

}  // namespace
}  // namespace lithe

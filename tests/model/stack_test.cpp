#include "lithe/model/stack.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <set>

#include "lithe/model/language_model.h"
#include "lithe/ops/node.h"
#include "lithe/spec/config_io.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::wave;

Config small(const std::string& layout, const std::string& more = "") {
    return parse_config("[model]\nwidth = 8\nheads = 2\nmemory = 6\nlayout = \"" + layout + "\"\n" + more, "test");
}

struct BuiltStack {
    ParameterStore store;
    Config config;
    Stack stack;
    explicit BuiltStack(const std::string& layout, const GroupWrapper& wrap = {}, const std::string& more = "")
        : config(small(layout, more)) {
        Problems problems;
        LayoutNode tree = parse_layout(config.model.layout);
        auto blocks = resolve_blocks(tree, config.model, config.blocks, problems);
        problems.throw_if_any("test");
        stack = build_stack(tree, blocks, config.model, store, "body", wrap);
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    }
};

TEST(Stack, SharedGroupsShareWeightsAndKeepTheirOwnState) {
    BuiltStack one("[uf]x1"), three("[uf]x3"), apart("(uf)x3"), nested("([f]x2)x2");
    EXPECT_EQ(three.store.count(), one.store.count());
    EXPECT_EQ(apart.store.count(), 3 * one.store.count());
    EXPECT_EQ(nested.store.count(), BuiltStack("f").store.count()) << "one lexical occurrence is one set of weights";
    EXPECT_EQ(three.stack.blocks.size(), 6u);
    EXPECT_FALSE(three.stack.blocks[0].shared);
    EXPECT_TRUE(three.stack.blocks[2].shared);
    UnitOutput out = three.stack.root->forward(wave({4, 2, 8}, 0.3, 0.1, 1.0), {}, {.memory = 6});
    ASSERT_EQ(out.state.parts.size(), 3u);
    EXPECT_FALSE(at::equal(out.state.parts[0].parts[0].get("c"), out.state.parts[1].parts[0].get("c")));
}

// The paths of a stack's blocks in order; a shared application has the path of its weights' first place.
std::vector<std::string> paths(const std::string& layout, const std::string& more = "") {
    std::vector<std::string> list;
    for (const AppliedBlock& each : BuiltStack(layout, {}, more).stack.blocks) list.push_back(each.path);
    return list;
}

TEST(Stack, ParametersAreNamedByTheirPlace) {
    using Paths = std::vector<std::string>;
    EXPECT_EQ(paths("uf"), (Paths{"body.layers.0.srupp", "body.layers.1.feed_forward"}));
    EXPECT_EQ(paths("(sfs)x2f"),
              (Paths{"body.layers.0.attention", "body.layers.0.feed_forward", "body.layers.0.attention_2",
                     "body.layers.1.attention", "body.layers.1.feed_forward", "body.layers.1.attention_2",
                     "body.layers.2.feed_forward"}));
    EXPECT_EQ(paths("[s]x2s"), (Paths{"body.layers.0.attention", "body.layers.0.attention", "body.layers.2.attention"}))
        << "shared weights have the name of their first place";
    EXPECT_EQ(paths("([s]x2s)x2"),
              (Paths{"body.layers.0.attention", "body.layers.0.attention", "body.layers.0.attention_3",
                     "body.layers.0.attention", "body.layers.0.attention", "body.layers.1.attention_3"}))
        << "a block's name is that of its place, whoever stands before it";
    EXPECT_EQ(paths("(s?{s f})"),
              (Paths{"body.layers.0.attention", "body.layers.0.attention_2", "body.layers.0.feed_forward"}))
        << "a searched place's candidates";
    EXPECT_EQ(paths("ws", "[blocks.w]\nkind = \"attention\"\n"),
              (Paths{"body.layers.0.attention", "body.layers.1.attention"}));
    const BuiltStack built("(sf)");
    std::set<std::string> names;
    for (size_t i = 0; i < built.store.size(); ++i) names.insert(built.store.spec(i).name);
    EXPECT_TRUE(names.count("body.layers.0.attention.qkv"));
    EXPECT_TRUE(names.count("body.layers.0.attention.shell_norm.gain"));
    EXPECT_TRUE(names.count("body.layers.0.feed_forward.w1"));
}

TEST(Stack, NamesMeanWhatTheConfigurationSays) {
    BuiltStack built("(wf)x2(sf)", {}, "[blocks.w]\nkind = \"attention\"\nheads = 4\nbias = true\n");
    EXPECT_STREQ(built.stack.blocks[0].parts->kind->name, "attention");
    EXPECT_EQ(built.stack.blocks[0].label, "w");
    EXPECT_ERROR(BuiltStack("uq"), ExitCode::usage, "layout, column 2: unknown block 'q'");
    EXPECT_ERROR(BuiltStack("<srup>"), ExitCode::usage, "did you mean 'srupp'?");
    EXPECT_ERROR(BuiltStack("u", {}, "[blocks.u]\nprojektion = 4\n"), ExitCode::usage,
                 "unknown key blocks.u.projektion, did you mean 'projection'?");
    EXPECT_NO_THROW(BuiltStack("u", {}, "[blocks.q]\nkind = \"attention\"\n"))
        << "a definition that another layout would use";
    EXPECT_ERROR(BuiltStack("u", {}, "[blocks.q]\nkind = \"attention\"\nhaeds = 2\n"), ExitCode::usage,
                 "unknown key blocks.q.haeds");
    EXPECT_ERROR(BuiltStack("w", {}, "[blocks.w]\nkind = \"attenton\"\n"), ExitCode::usage,
                 "unknown kind 'attenton', did you mean 'attention'?");
    EXPECT_ERROR(BuiltStack("s", {}, "[blocks.s]\nheads = 3\n"), ExitCode::usage, "width 8 is no multiple of heads 3");
    EXPECT_ERROR(BuiltStack("s?f"), ExitCode::usage, "column 2: '?' has no candidates");
}

// model.norm_epsilon reaches the norms inside blocks too.
TEST(Stack, NormEpsilonOfBlocks) {
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    const char* const sru = "[blocks.q]\nkind = \"sru\"\nlayer_norm = \"before\"\n";
    for (const auto& [layout, more] : {std::pair("u", ""), {"r", ""}, {"q", sru}}) {
        auto run = [&, layout = layout, more = more](double epsilon) {
            Config config = small(layout, more);
            config.model.norm = "none";
            config.model.norm_epsilon = epsilon;
            ParameterStore store;
            Problems problems;
            const LayoutNode tree = parse_layout(layout);
            Stack stack = build_stack(tree, resolve_blocks(tree, config.model, config.blocks, problems), config.model,
                                      store, "b");
            store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
            return stack.root->forward(x, {}, {}).y_TBD;
        };
        EXPECT_GT((run(0.5) - run(1e-5)).abs().max().item<double>(), 1e-4) << layout;
    }
}

TEST(Stack, NormPlacements) {
    Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    for (const char* norm : {"pre", "post", "none"}) {
        Config config = small("f");
        config.model.norm = norm;
        config.model.norm_epsilon = 0.1;
        ParameterStore store;
        Problems problems;
        LayoutNode tree = parse_layout("f");
        Stack stack = build_stack(tree, resolve_blocks(tree, config.model, {}, problems), config.model, store, "b");
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
        Tensor y = stack.root->forward(x, {}, {}).y_TBD;
        const Block& block = *stack.blocks[0].parts->block;
        auto layer_norm = [](const Tensor& t) { return at::layer_norm(t, {8}, {}, {}, 0.1); };
        Tensor expected = norm == std::string("pre")    ? x + block.branch(layer_norm(x), {}, {}).delta_TBD
                          : norm == std::string("post") ? layer_norm(x + block.branch(x, {}, {}).delta_TBD)
                                                        : x + block.branch(x, {}, {}).delta_TBD;
        expect_close(y, expected, 1e-12, norm);
    }
}

// ---- The frame's proof: two throw-away wrappers that change how a group is run, without touching a kind.

// Runs the group with a gate of 0 or 1: y = x + gate (group(x) - x). A dropped group costs nothing and keeps its state.
class GatedGroup : public Unit {
 public:
    GatedGroup(std::unique_ptr<Unit> group, const bool& open) : group_(std::move(group)), open_(open) {
        if (std::string name = group_->own_residual(); !name.empty())
            fail_usage("a dropped group needs y = x + branch(x), and block '" + name + "' has a skip of its own",
                       "layout");
    }
    UnitOutput forward(const Tensor& x_TBD, const State& state, const Context& context) const override {
        if (!open_) return {x_TBD, state, {}};
        return group_->forward(x_TBD, state, context);
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
    Context context{.memory = 6};
    EXPECT_TRUE(
        at::equal(gated.stack.root->forward(x, {}, context).y_TBD, plain.stack.root->forward(x, {}, context).y_TBD));
    open = false;
    EXPECT_TRUE(at::equal(gated.stack.root->forward(x, {}, context).y_TBD, x));
    EXPECT_ERROR(BuiltStack("(fu)", wrap), ExitCode::usage, "block 'srupp' has a skip of its own");
}

// Keeps only the group's input and runs it again in the backward pass. Dropout is counter-based, so the second run is
// the same.
struct RecomputeNode : torch::autograd::Node {
    std::function<Tensor(const Tensor&)> run;
    Tensor x;
    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        at::AutoGradMode enable(true);
        Tensor leaf = x.detach().set_requires_grad(true);
        Tensor y = run(leaf);
        torch::autograd::backward({y}, {gradients[0]});
        return {leaf.grad()};
    }
};

class RecomputedGroup : public Unit {
 public:
    RecomputedGroup(std::unique_ptr<Unit> group, int& runs) : group_(std::move(group)), runs_(runs) {}
    UnitOutput forward(const Tensor& x_TBD, const State& state, const Context& context) const override {
        UnitOutput out;
        {
            at::NoGradGuard no_grad;
            ++runs_;
            out = group_->forward(x_TBD, state, context);
        }
        auto node = ops::make_node<RecomputeNode>(x_TBD);
        node->x = x_TBD;
        node->run = [this, state, context](const Tensor& x) {
            ++runs_;
            return group_->forward(x, state, context).y_TBD;
        };
        out.y_TBD = out.y_TBD.detach();
        torch::autograd::set_history(out.y_TBD, node);
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
    Context context{.training = true, .memory = 6, .dropout_key = 11};
    auto gradients = [&](BuiltStack& built) {
        Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0).set_requires_grad(true);
        State state = built.stack.root->forward(wave({4, 2, 8}, 0.7, 0.4, 1.0), {}, context).state.detach();
        Tensor y = built.stack.root->forward(x, state, context).y_TBD;
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

}  // namespace
}  // namespace lithe

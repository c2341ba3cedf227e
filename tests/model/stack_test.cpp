#include "lithe/model/stack.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <set>

#include "lithe/model/language_model.h"
#include "lithe/ops/node.h"
#include "lithe/spec/config_io.h"
#include "support/built_stack.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::BuiltStack;
using testing::expect_close;
using testing::small;
using testing::wave;

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

// Norms around blocks and before the head, of either form.
TEST(Stack, NormsAreOfTheModelsForm) {
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    const auto rms = [](const Tensor& h) { return h * (h.square().mean(-1, true) + 1e-5).rsqrt(); };
    BuiltStack built("f", {}, "norm_form = \"rms\"\n");
    for (size_t i = 0; i < built.store.size(); ++i)
        EXPECT_EQ(built.store.spec(i).name.find("shell_norm.bias"), std::string::npos) << "RMS norm has a gain alone";
    const Tensor w1 = built.store.working(1), b1 = built.store.working(3), w2 = built.store.working(2);
    ASSERT_EQ(built.store.spec(1).name, "body.layers.0.feed_forward.w1");
    ASSERT_EQ(built.store.spec(3).name, "body.layers.0.feed_forward.b1");
    const Tensor expected = x + at::linear(at::gelu(at::linear(rms(x), w1, b1)), w2);
    expect_close(built.stack.root->forward(x, {}, {}).flow.x_TBD, expected, 1e-12, "pre-norm");
}

// RWKV-7 mixes in the first layer's values, in every layer but the first, also under another name.
TEST(Stack, LaterLayersOfAKindKnowOfEarlierOnes) {
    const auto mixing = [](const std::string& layout, const std::string& more) {
        std::set<std::string> layers;
        const BuiltStack built(layout, {}, more);
        for (size_t i = 0; i < built.store.size(); ++i)
            if (const std::string& name = built.store.spec(i).name; name.find("value_mix") != std::string::npos)
                layers.insert(name.substr(0, name.find(".rwkv7")));
        return layers;
    };
    const std::set<std::string> later = {"body.layers.1", "body.layers.2"};
    EXPECT_EQ(mixing("<rwkv7>x3", ""), later);
    EXPECT_EQ(mixing("wx3", "[blocks.w]\nkind = \"rwkv7\"\n"), later);
    EXPECT_EQ(mixing("f<rwkv7>", ""), std::set<std::string>{});
}

TEST(Stack, ALaterLayerOfRwkv7NeedsTheFirst) {
    const auto problems_of = [](const std::vector<size_t>& kept) {
        const BuiltStack built("<rwkv7>x3");
        built.stack.root->keep(kept);
        Problems problems;
        check_bag_uses(*built.stack.root, {}, problems);
        return problems.lines();
    };
    EXPECT_TRUE(problems_of({0, 2}).empty());
    const auto lines = problems_of({1, 2});
    ASSERT_EQ(lines.size(), 1u) << "told once";
    EXPECT_NE(lines[0].find("rwkv7"), std::string::npos);
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
    EXPECT_ERROR(BuiltStack("uq"), ErrorKind::usage, "layout, column 2: unknown block 'q'");
    EXPECT_ERROR(BuiltStack("<srup>"), ErrorKind::usage, "did you mean 'srupp'?");
    EXPECT_ERROR(BuiltStack("u", {}, "[blocks.u]\nprojektion = 4\n"), ErrorKind::usage,
                 "unknown key blocks.u.projektion, did you mean 'projection'?");
    EXPECT_NO_THROW(BuiltStack("u", {}, "[blocks.q]\nkind = \"attention\"\n"))
        << "a definition that another layout would use";
    EXPECT_ERROR(BuiltStack("u", {}, "[blocks.q]\nkind = \"attention\"\nhaeds = 2\n"), ErrorKind::usage,
                 "unknown key blocks.q.haeds");
    EXPECT_ERROR(BuiltStack("w", {}, "[blocks.w]\nkind = \"attenton\"\n"), ErrorKind::usage,
                 "unknown kind 'attenton', did you mean 'attention'?");
    EXPECT_ERROR(BuiltStack("s", {}, "[blocks.s]\nheads = 3\n"), ErrorKind::usage, "width 8 is no multiple of heads 3");
    EXPECT_ERROR(BuiltStack("s?f"), ErrorKind::usage, "column 2: '?' has no candidates");
}

// model.norm_epsilon reaches the norms inside blocks too.
TEST(Stack, NormEpsilonOfBlocks) {
    const Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    const char* const sru = "[blocks.q]\nkind = \"sru\"\nlayer_norm = \"before\"\n";
    for (const auto& [layout, more] : {std::pair("u", ""), {"r", ""}, {"q", sru}}) {
        auto run = [&, layout = layout, more = more](double epsilon) {
            Config config = small(layout, more);
            config.model.norm = NormPlace::none;
            config.model.norm_epsilon = epsilon;
            ParameterStore store;
            Problems problems;
            const LayoutNode tree = parse_layout(layout);
            Stack stack = build_stack(tree, resolve_blocks(tree, config.model, config.blocks, problems), config.model,
                                      store, "b");
            store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
            return stack.root->forward(x, {}, Pass()).flow.x_TBD;
        };
        EXPECT_GT((run(0.5) - run(1e-5)).abs().max().item<double>(), 1e-4) << layout;
    }
}

TEST(Stack, NormPlacements) {
    Tensor x = wave({4, 2, 8}, 0.3, 0.1, 1.0);
    for (const NormPlace norm : {NormPlace::pre, NormPlace::post, NormPlace::none}) {
        Config config = small("f");
        config.model.norm = norm;
        config.model.norm_epsilon = 0.1;
        ParameterStore store;
        Problems problems;
        LayoutNode tree = parse_layout("f");
        Stack stack = build_stack(tree, resolve_blocks(tree, config.model, {}, problems), config.model, store, "b");
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
        Tensor y = stack.root->forward(x, {}, Pass()).flow.x_TBD;
        const Block& block = *stack.blocks[0].parts->block;
        auto layer_norm = [](const Tensor& t) { return at::layer_norm(t, {8}, {}, {}, 0.1); };
        Tensor expected = norm == NormPlace::pre    ? x + block.branch(layer_norm(x), {}, Pass()).delta_TBD
                          : norm == NormPlace::post ? layer_norm(x + block.branch(x, {}, Pass()).delta_TBD)
                                                    : x + block.branch(x, {}, Pass()).delta_TBD;
        expect_close(y, expected, 1e-12, name_of(norm));
    }
}

}  // namespace
}  // namespace lithe

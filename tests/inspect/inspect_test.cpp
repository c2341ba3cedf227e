// What is seen inside models: maps of every kind that mixes positions, what states keep, contexts, gradients.
#include <gtest/gtest.h>

#include <cmath>

#include "lithe/blocks/look.h"
#include "lithe/inspect/attention_maps.h"
#include "lithe/inspect/context.h"
#include "lithe/inspect/gradient_norms.h"
#include "lithe/inspect/kept_state.h"
#include "lithe/spec/config_io.h"
#include "support/block_variants.h"
#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

constexpr int64_t kVocabulary = 13;

std::shared_ptr<LanguageModel> model_of(const std::string& toml) {
    const auto model = std::make_shared<LanguageModel>(parse_config(toml, "test"), kVocabulary);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    return model;
}

std::vector<int64_t> some_ids(int64_t count) {
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < count; ++i) ids.push_back((i * 7 + i * i) % kVocabulary);
    return ids;
}

TokenList text_of(int64_t count) {
    TokenList text;
    text.add(some_ids(count), uint64_t(count));
    return text;
}

// What blocks show, as they show it.
struct Shown : Looker {
    std::vector<Mixing> all;
    void see(const Place&, const Mixing& mixing) override { all.push_back(mixing); }
};

// Weights times values are what a head gives: of every kind, however it computes them.
class AttentionMaps : public ::testing::TestWithParam<int> {};

TEST_P(AttentionMaps, TimesTheValuesAreWhatAHeadGives) {
    const testing::BlockVariant& variant = testing::block_variants()[size_t(GetParam())];
    std::string toml = "[model]\nwidth = 8\nheads = 2\nlayout = \"k\"\n";
    if (!variant.kind->traits.causal) toml += "direction = \"bidirectional\"\n";
    toml += "[blocks.k]\nkind = \"" + std::string(variant.kind->name) + "\"\n";
    for (const RawValue& value : variant.values) toml += value.key + " = " + value.text + "\n";
    const auto model = model_of(toml);
    const std::vector<int64_t> ids = some_ids(11);
    Shown shown;
    {
        Pass pass = model->pass(false);
        pass.memory = 0;
        pass.entries.put(Look{&shown});
        model->hidden(at::tensor(ids, at::kLong).unsqueeze(1), {}, pass);
    }
    const std::vector<AttentionMap> maps = attention_maps(*model, ids);
    if (shown.all.empty()) {
        EXPECT_TRUE(maps.empty());
        return;
    }
    ASSERT_EQ(maps.size(), 1u);
    const AttentionMap& map = maps[0];
    EXPECT_NE(map.name.find("layers.0"), std::string::npos) << map.name;
    const std::string name = variant.kind->name;
    if (name == "all_attention") return;  // reads vectors that stand at no position, too
    if (shown.all.size() > 1) return;     // its sum is of several values
    const Mixing& mixing = shown.all[0];
    const int64_t size = mixing.mixed_TBP.size(2) / mixing.heads;
    const Tensor values = mixing.values_SBX.flatten(2).narrow(2, mixing.first, mixing.heads * size).squeeze(1);
    const Tensor weights =
        at::tensor(at::ArrayRef<float>(map.weights)).view({map.heads, map.queries, map.keys}).to(at::kDouble);
    const Tensor by_head = values.view({map.keys, map.heads, size}).transpose(0, 1);
    const Tensor expected = at::bmm(weights, by_head).transpose(0, 1).flatten(1);
    EXPECT_LT((expected - mixing.mixed_TBP.squeeze(1)).abs().max().item<double>(), 1e-6);
    if (!variant.kind->traits.causal || variant.kind->traits.may_leak) return;
    EXPECT_LT(weights.triu(1).abs().max().item<double>(), 1e-12) << "no head reads what is still to come";
}

// Models of two stacks are not looked into.
std::vector<int> variants_of_one_stack() {
    std::vector<int> numbers;
    for (size_t i = 0; i < testing::block_variants().size(); ++i)
        if (!testing::block_variants()[i].kind->traits.reads_source()) numbers.push_back(int(i));
    return numbers;
}

INSTANTIATE_TEST_SUITE_P(AllKinds, AttentionMaps, ::testing::ValuesIn(variants_of_one_stack()),
                         [](const auto& each) { return testing::block_variants()[size_t(each.param)].name; });

TEST(AttentionMaps, OfSoftmaxAreItsProbabilities) {
    const auto model = model_of("[model]\nwidth = 8\nheads = 2\nlayout = \"(sf)x2\"\n");
    const std::vector<AttentionMap> maps = attention_maps(*model, some_ids(9));
    ASSERT_EQ(maps.size(), 2u);
    for (const AttentionMap& map : maps)
        for (int64_t head = 0; head < 2; ++head)
            for (int64_t query = 0; query < 9; ++query) {
                double sum = 0;
                for (int64_t key = 0; key < 9; ++key) sum += double(map.at(head, query, key));
                EXPECT_NEAR(sum, 1, 1e-6);
                EXPECT_GT(map.at(head, query, 0), 0);
            }
    EXPECT_EQ(maps[1].name, "decoder.layers.1.attention");
    EXPECT_FLOAT_EQ(maps[0].at(0, 0, 0), 1) << "the first token has itself alone";
}

TEST(AttentionMaps, OfSharedWeightsAreOfTheirPlaces) {
    const auto model = model_of("[model]\nwidth = 8\nheads = 2\nlayout = \"[sf]x2\"\n");
    const std::vector<AttentionMap> maps = attention_maps(*model, some_ids(5));
    ASSERT_EQ(maps.size(), 2u);
    EXPECT_EQ(maps[0].name, "decoder.layers.0.attention");
    EXPECT_EQ(maps[1].name, "decoder.layers.1.attention");
}

// RetNet's decays are numbers of the formula: 1 - 2^(-5 - h) of head h.
TEST(KeptStates, OfRetNetAreItsDecays) {
    const auto model =
        model_of("[model]\nwidth = 16\nheads = 2\nlayout = \"(<rn>f)x2\"\n[blocks.rn]\nkind = \"retnet\"\nheads = 2\n");
    const std::vector<KeptState> kept = kept_states(*model, some_ids(6));
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_EQ(kept[1].name, "decoder.layers.1.retnet.state");
    for (const KeptState& state : kept) {
        EXPECT_EQ(state.steps, 5);
        const std::vector<double> means = state.means();
        for (size_t i = 0; i < means.size(); ++i)
            EXPECT_NEAR(means[i], 1 - std::pow(2, i < means.size() / 2 ? -5 : -6), 1e-6) << i;
    }
    EXPECT_NEAR(half_life(1 - std::pow(2, -5)), 21.83, 0.01);
    EXPECT_TRUE(std::isinf(half_life(1)));
    EXPECT_EQ(half_life(0), 0);
}

// GRU keeps (1 - z) or z of its state and nothing of it goes through attention's memory.
TEST(KeptStates, LieBetweenNothingAndAllOfElementwiseGates) {
    for (const char* kind : {"sru", "qrnn", "min_gru", "lru"}) {
        const auto model = model_of("[model]\nwidth = 8\nheads = 2\nlayout = \"k\"\n[blocks.k]\nkind = \"" +
                                    std::string(kind) + "\"\n");
        const std::vector<KeptState> kept = kept_states(*model, some_ids(8));
        ASSERT_FALSE(kept.empty()) << kind;
        for (const double mean : kept[0].means()) {
            EXPECT_GT(mean, -0.5) << kind;
            EXPECT_LT(mean, 1.5) << kind;
        }
    }
}

// A model that sees four tokens and no more.
const char* const kWindow = "[model]\nwidth = 8\nheads = 2\nlayout = \"s\"\n[blocks.s]\nwindow = 4\n";

TEST(Context, EndsWhereAWindowDoes) {
    const auto model = model_of(kWindow);
    const TokenList text = text_of(400);
    const ContextOptions options{.longest = 16, .step = 2, .positions = 12};
    const std::vector<double> changes = changes_by_distance(*model, text, options);
    ASSERT_EQ(changes.size(), 9u);
    for (size_t d = 0; d < 4; ++d) EXPECT_GT(changes[d], 0) << d;
    for (size_t d = 4; d < changes.size(); ++d) EXPECT_EQ(changes[d], 0) << d;
    const ContextLosses losses = losses_by_context(*model, text, options);
    EXPECT_EQ(losses.contexts, (std::vector<int64_t>{2, 4, 6, 8, 10, 12, 14, 16}));
    EXPECT_NE(losses.losses[0], losses.losses[1]);
    for (size_t t = 0; t < 12; ++t) EXPECT_NEAR(losses.losses[1][t], losses.losses[7][t], 1e-12);
    EXPECT_ERROR(losses_by_context(*model, text_of(10), options), ErrorKind::bad_file, "the text has 10 tokens");
}

// Dai et al. 2019, appendix C, by hand.
TEST(Context, TheRelativeEffectiveLengthIsThePapers) {
    const double ln2 = std::log(2.0);
    // gains: 10 %, then 0.5 %, of all positions; of the harder half 19 % and 1.0 %
    const ContextLosses one{{8, 16, 24},
                            {{1, 2}, {1, 2 + 2 * std::log(0.9)}, {1, 2 + 2 * std::log(0.9) + 2 * std::log(0.995)}}};
    EXPECT_EQ(effective_contexts({one}, 1)[0].tokens, 16);
    EXPECT_TRUE(effective_contexts({one}, 1)[0].reached);
    EXPECT_EQ(effective_contexts({one}, 0.5)[0].tokens, 16) << "1 - 0.995^2 is less than 1 %";
    const ContextLosses better{{8, 16, 24}, {{2, 3}, {2 - ln2, 3}, {2 - 2 * ln2, 3}}};
    EXPECT_FALSE(effective_contexts({better}, 1)[0].reached);
    EXPECT_EQ(effective_contexts({better}, 1)[0].tokens, 24);
    // beside a model whose losses on the short context are lower than its own on the long one, nothing counts as gained
    const ContextLosses best{{8, 16, 24}, {{0.1, 0.1}, {0.1, 0.1}, {0.1, 0.1}}};
    EXPECT_EQ(effective_contexts({better, best}, 1)[0].tokens, 8);
}

TEST(GradientNorms, AreOfAllBlocksAndAddUp) {
    const auto model = model_of("[model]\nwidth = 8\nheads = 2\nlayout = \"(sf)x2\"\n");
    const std::vector<BlockGradient> blocks = gradient_norms(*model, text_of(200), 12, 4);
    const ParameterStore& store = model->parameters();
    std::map<std::string, double> count;
    double squares = 0;
    for (const BlockGradient& block : blocks) {
        double numbers = 0;
        for (size_t i = 0; i < store.size(); ++i) {
            const std::string& name = store.spec(i).name;
            const bool in_block = stands_under(name, block.path);
            if (in_block) numbers += double(store.spec(i).count());
        }
        EXPECT_GT(block.gradient, 0) << block.path;
        squares += block.gradient * block.gradient * numbers;
    }
    const double all = store.gradient_flat().square().sum().item<double>();
    EXPECT_NEAR(squares, all, 1e-9 * all);
    EXPECT_GE(blocks.size(), 5u);
}

}  // namespace
}  // namespace lithe

// Replaced tokens: what a generator draws, what is told of it, ELECTRA's numbers, and whose gradients go where.
#include "lithe/objectives/replaced.h"

#include <cmath>
#include <map>

#include "lithe/base/rng.h"
#include "support/errors.h"
#include "support/stepped.h"

namespace lithe {
namespace {

const std::string kModel =
    "[model]\nwidth = 16\nheads = 4\nlayout = \"(sf)x2\"\ndirection = \"bidirectional\"\npositions = \"learned\"\n"
    "max_positions = 64\nhead = \"none\"\n[objective]\nname = \"replaced\"\n";

struct Replaced : testing::Stepped {
    explicit Replaced(const std::string& more = "", int64_t vocabulary = 257)
        : Stepped(kModel + more, {.vocabulary = vocabulary}) {}
    const ReplacedObjective& kind() const { return dynamic_cast<const ReplacedObjective&>(*objective); }
    size_t index(const std::string& name) const {
        for (size_t i = 0; i < model.parameters().size(); ++i)
            if (model.parameters().spec(i).name == name) return i;
        throw std::runtime_error("no parameter " + name);
    }
    Tensor master(const std::string& name) const { return model.parameters().master(index(name)); }
};

Batch text_batch(int64_t length, int64_t rows, int64_t below = 250) {
    Batch batch{.length = length, .rows = rows};
    for (int64_t i = 0; i < length * rows; ++i)
        batch.inputs.push_back(int64_t(random_bits(3, uint64_t(i)) % uint64_t(below)));
    batch.targets.assign(batch.inputs.size(), -1);
    batch.tokens = length * rows;
    return batch;
}

TEST(ReplacedTokens, DrawsFollowTheSoftmaxAtATemperature) {
    const Tensor logits = at::tensor(std::vector<double>{0.5, -1, 2, 0, -30});
    constexpr int64_t kDraws = 40'000;
    Tensor uniform = at::empty({kDraws}, at::kDouble);
    for (int64_t i = 0; i < kDraws; ++i) uniform[i] = random_unit(5, uint64_t(i));
    for (const double temperature : {1.0, 0.5}) {
        const Tensor drawn = draw_tokens(logits.expand({kDraws, 5}), uniform, temperature);
        const Tensor expected = at::softmax(logits / temperature, 0);
        for (int64_t token = 0; token < 5; ++token) {
            const auto p = expected[token].item<double>();
            const auto share = drawn.eq(token).to(at::kDouble).mean().item<double>();
            EXPECT_NEAR(share, p, 4 * std::sqrt(p / kDraws) + 1e-9) << token << " at " << temperature;
        }
    }
    EXPECT_EQ(draw_tokens(at::zeros({1, 4}), at::full({1}, 1 - 1e-17, at::kDouble), 1).item<int64_t>(), 3);
}

// ln V + 50 ln 2 where nothing is known yet: 10.33 + 34.66 for BERT's vocabulary; 15 % of the tokens are replaced.
TEST(ReplacedTokens, TheFirstLossIsElectras) {
    constexpr int64_t kVocabulary = 30522;
    Replaced stepped("", kVocabulary);
    stepped.master("embeddings.tokens").zero_();
    stepped.master("replaced_head.weight").zero_();
    Batch batch = text_batch(32, 12);
    stepped.objective->prepare(batch, 7, 0);
    const Update update = stepped.step->accumulate({batch}, 7);
    EXPECT_NEAR(update.terms.at("cross_entropy"), std::log(double(kVocabulary)), 1e-9);
    EXPECT_NEAR(update.terms.at("replaced"), std::log(2.0), 1e-12);
    EXPECT_NEAR(update.loss, 10.3262 + 34.6574, 1e-3);
    const auto filled = stepped.kind().fill(stepped.models, DeviceBatch::of(batch, at::kCPU), true, {.update = 7});
    EXPECT_NEAR(filled.labels_TB.to(at::kDouble).mean().item<double>(), .15, .055);  // three standard errors
}

// A drawn token that is the text's own counts as original.
TEST(ReplacedTokens, AGeneratorThatIsRightReplacesNothing) {
    Replaced stepped;
    stepped.master("generator.head.bias")[97] = 1000;
    Batch batch = text_batch(32, 8, 1);
    for (int64_t& id : batch.inputs) id = 97;
    stepped.objective->prepare(batch, 7, 0);
    const DeviceBatch given = DeviceBatch::of(batch, at::kCPU);
    const auto filled = stepped.kind().fill(stepped.models, given, true, {.update = 7});
    EXPECT_GT(stepped.objective->weights(batch).at("cross_entropy"), 10);
    EXPECT_FALSE(filled.labels_TB.any().item<bool>());
    EXPECT_TRUE(filled.ids_TB.equal(given.ids_TB));
    stepped.master("replaced_head.weight").zero_();
    stepped.master("replaced_head.bias").fill_(-50);
    EXPECT_LT(stepped.step->accumulate({batch}, 7).terms.at("replaced"), 1e-9) << "the loss can reach 0";
}

TEST(ReplacedTokens, OnlyMaskedTokensChangeAndAllOthersAreTold) {
    const Replaced stepped;
    Batch batch = text_batch(40, 3);
    batch.flags.assign(120, 0);
    for (size_t t = 30; t < 40; ++t) batch.flags[t * 3] = kPadding;
    const std::vector<int64_t> text = batch.inputs;
    stepped.objective->prepare(batch, 7, 0);
    EXPECT_EQ(batch.inputs, text);
    EXPECT_EQ(stepped.objective->weights(batch).at("replaced"), 110);
    int masked = 0, kept = 0;
    for (size_t place = 0; place < text.size(); ++place) {
        const bool predicted = batch.source.flags[place] != 0, hidden = batch.is_padding(place);
        EXPECT_EQ(batch.targets[place], hidden ? -1 : text[place]);
        if (hidden) { EXPECT_FALSE(predicted); }
        masked += batch.source.ids[place] == 256;
        kept += predicted && batch.source.ids[place] == text[place];
        if (!predicted) { EXPECT_EQ(batch.source.ids[place], text[place]); }
    }
    EXPECT_EQ(stepped.objective->weights(batch).at("cross_entropy"), masked + kept);
    EXPECT_GT(masked, kept) << "85 % are masked";
    const DeviceBatch given = DeviceBatch::of(batch, at::kCPU);
    const auto filled = stepped.kind().fill(stepped.models, given, true, {.update = 7});
    EXPECT_FALSE(filled.labels_TB.logical_and(given.source_flags_SB.eq(0)).any().item<bool>());
    EXPECT_TRUE(filled.labels_TB.any().item<bool>());
}

// What a row's generator draws does not depend on the rows beside it.
TEST(ReplacedTokens, RowsAreDrawnByTheirNumber) {
    const Replaced stepped;
    Batch whole = text_batch(40, 3), last{.length = 40, .rows = 1};
    for (size_t t = 0; t < 40; ++t) last.inputs.push_back(whole.inputs[t * 3 + 2]);
    last.targets.assign(40, -1);
    stepped.objective->prepare(whole, 7, 10);
    stepped.objective->prepare(last, 7, 12);
    const auto all =
        stepped.kind().fill(stepped.models, DeviceBatch::of(whole, at::kCPU), true, {.update = 7, .first_row = 10});
    const auto one =
        stepped.kind().fill(stepped.models, DeviceBatch::of(last, at::kCPU), true, {.update = 7, .first_row = 12});
    EXPECT_TRUE(one.ids_TB.squeeze(1).equal(all.ids_TB.select(1, 2)));
    const auto other =
        stepped.kind().fill(stepped.models, DeviceBatch::of(whole, at::kCPU), true, {.update = 8, .first_row = 10});
    EXPECT_FALSE(other.ids_TB.equal(all.ids_TB));
}

// The discriminator's loss reaches the shared embeddings and nothing else that the generator has.
TEST(ReplacedTokens, NoGradientGoesThroughTheDraws) {
    Batch batch = text_batch(40, 8);
    std::map<std::string, Tensor> gradients[2];
    for (const int heavy : {0, 1}) {
        Replaced stepped(heavy ? "replaced_weight = 50\n" : "replaced_weight = 1\n");
        Batch prepared = batch;
        stepped.objective->prepare(prepared, 7, 0);
        stepped.step->accumulate({prepared}, 7);
        for (size_t i = 0; i < stepped.model.parameters().size(); ++i)
            gradients[heavy][stepped.model.parameters().spec(i).name] = stepped.model.parameters().gradient(i).clone();
    }
    int of_generator = 0;
    for (const auto& [name, light] : gradients[0]) {
        const Tensor& heavy = gradients[1].at(name);
        if (stands_under(name, Generator::kName)) {
            ++of_generator;
            EXPECT_LT((heavy - light).abs().max().item<double>(), 1e-12) << name;
            EXPECT_GT(light.abs().max().item<double>(), 0) << name;
        } else if (!stands_under(name, "embeddings")) {
            EXPECT_LT((heavy - 50 * light).abs().max().item<double>(), 1e-9) << name;
        }
    }
    EXPECT_GT(of_generator, 10);
    EXPECT_GT((gradients[1].at("embeddings.tokens") - gradients[0].at("embeddings.tokens")).abs().max().item<double>(),
              1e-6);
}

TEST(ReplacedTokens, TheGeneratorHasItsShareOfTheWidth) {
    const Replaced stepped;
    const auto& parts = dynamic_cast<const ReplacedParts&>(*stepped.models.companion);
    EXPECT_EQ(parts.generator.config().width, 4);
    EXPECT_EQ(parts.generator.config().heads, 1);
    EXPECT_EQ(stepped.master("generator.in").sizes(), (at::IntArrayRef{4, 16}));
    const ModelConfig third = Generator::stack_config({.width = 768, .heads = 12}, {.width = 1.0 / 3});
    EXPECT_EQ(third.width, 256) << "ELECTRA base";
    EXPECT_EQ(third.heads, 4);
    const Replaced same("generator_width = 1\ngenerator_layout = \"f\"\n");
    for (size_t i = 0; i < same.model.parameters().size(); ++i)
        EXPECT_NE(same.model.parameters().spec(i).name, "generator.in") << "equal widths need no product";
    const CostShape shape = cost_shape(stepped.config);
    EXPECT_GT(count_cost(stepped.models, shape).flops_per_token, count_cost(stepped.model, shape).flops_per_token);
}

TEST(ReplacedTokens, ContradictionsAreTold) {
    const auto checked = [](const std::vector<std::string>& sets) {
        Problems problems;
        check_config(parse_config(kModel, "test", sets), problems);
        problems.throw_if_any("test");
    };
    checked({});
    EXPECT_ERROR(checked({"model.direction=\"causal\""}), ErrorKind::usage, "predicts from both sides");
    EXPECT_ERROR(checked({"model.head=\"linear\""}), ErrorKind::usage, "model.head = \"none\"");
    EXPECT_ERROR(checked({"model.ngrams.lengths=\"2-3\""}), ErrorKind::usage, "tables of n-grams serve one");
    EXPECT_ERROR(checked({"objective.generator_layout=\"l\""}), ErrorKind::usage, "objective.generator.direction");
    EXPECT_ERROR(checked({"objective.generator_layout=\"zz\""}), ErrorKind::usage, "unknown block");
}

}  // namespace
}  // namespace lithe

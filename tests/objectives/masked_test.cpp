// Encoders: what is masked, that both sides are seen, and that BERT's parts stand where they belong.
#include "lithe/objectives/masked.h"

#include <map>

#include "lithe/model/language_model.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

const std::string kEncoder =
    "[model]\nwidth = 8\nheads = 2\nlayout = \"(sf)x2\"\ndirection = \"bidirectional\"\npositions = \"learned\"\n"
    "max_positions = 16\nhead = \"transform\"\ntie_embeddings = true\n"
    "[model.bert]\nembedding_norm = true\ntoken_types = 2\npooler = true\n[objective]\nname = \"masked\"\n";

std::unique_ptr<LanguageModel> encoder(const std::vector<std::string>& sets = {}) {
    auto model = std::make_unique<LanguageModel>(parse_config(kEncoder, "test", sets), 11);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    return model;
}

Tensor parameter(const LanguageModel& model, const std::string& name) {
    for (size_t i = 0; i < model.parameters().size(); ++i)
        if (model.parameters().spec(i).name == name) return model.parameters().working(i);
    throw std::runtime_error("no parameter " + name);
}

TEST(Masking, TheMaskTokenIsTheTokenizersOrOneMore) {
    const tokenize::ByteTokenizer bytes;
    const auto made = [&](const std::vector<std::string>& sets) {
        return make_objective(parse_config(kEncoder, "test", sets), bytes);
    };
    const auto mask_id = [](const Objective& objective) {
        return dynamic_cast<const MaskedObjective&>(objective).masking().mask_id;
    };
    EXPECT_EQ(mask_id(*made({})), 256);
    EXPECT_EQ(made({})->vocabulary(), 257);
    const auto given = made({"objective.mask_token=\"#\""});
    EXPECT_EQ(mask_id(*given), '#');
    EXPECT_EQ(given->vocabulary(), 256);
    EXPECT_ERROR(made({"objective.mask_token=\"[MASK]\""}), ErrorKind::usage, "is no token of the vocabulary");
}

// A row is masked alike wherever it stands in an update's batches; padding is neither hidden nor scored.
TEST(Masking, RowsAreMaskedByTheirNumber) {
    const auto objective = make_objective(parse_config(kEncoder, "test"), tokenize::ByteTokenizer());
    Batch whole{.length = 40, .rows = 3};
    for (int64_t i = 0; i < 120; ++i) whole.inputs.push_back(i % 50);
    whole.targets.assign(120, -1);
    whole.flags.assign(120, 0);
    whole.flags[119] = kPadding;
    Batch last{.length = 40, .rows = 1};
    for (size_t t = 0; t < 40; ++t) {
        last.inputs.push_back(whole.inputs[3 * t + 2]);
        last.flags.push_back(whole.flags[3 * t + 2]);
    }
    last.targets.assign(40, -1);
    const std::vector<int64_t> before = whole.inputs;
    objective->prepare(whole, 7, 10);
    objective->prepare(last, 7, 12);
    int scored = 0;
    for (size_t t = 0; t < 40; ++t) {
        EXPECT_EQ(last.inputs[t], whole.inputs[3 * t + 2]);
        EXPECT_EQ(last.targets[t], whole.targets[3 * t + 2]);
        scored += last.targets[t] >= 0;
        if (last.targets[t] >= 0) { EXPECT_EQ(last.targets[t], before[3 * t + 2]); }
    }
    EXPECT_GT(scored, 0);
    EXPECT_EQ(whole.targets[119], -1);
    EXPECT_EQ(whole.inputs[119], before[119]);
    EXPECT_EQ(objective->weights(last).at("cross_entropy"), scored);
}

TEST(Encoder, EveryPositionSeesEveryOther) {
    const auto model = encoder();
    Tensor ids = at::arange(6, at::kLong).view({6, 1}), other = ids.clone();
    other[5][0] = 9;
    const Pass pass = model->pass(false);
    const Tensor difference = (model->encode(ids, pass) - model->encode(other, pass)).abs().amax(2).squeeze(1);
    for (int t = 0; t < 6; ++t) EXPECT_GT(difference[t].item<double>(), 1e-9) << t;
}

TEST(Encoder, LossIsThatOfTheScoredPositionsAlone) {
    const auto model = encoder();
    const Tensor ids = at::arange(8, at::kLong).view({4, 2});
    Tensor targets = at::full({4, 2}, -1, at::kLong);
    targets[1][0] = 3;
    targets[3][1] = 10;
    const Pass pass = model->pass(false);
    const Tensor logits = model->forward(ids, {}, pass).logits_TBV;
    const double expected =
        -(at::log_softmax(logits[1][0], 0)[3] + at::log_softmax(logits[3][1], 0)[10]).item<double>();
    EXPECT_NEAR(model->loss(ids, targets, {}, pass, {.density = TargetDensity::few}).sum.item<double>(), expected,
                1e-10);
    const Tensor none =
        model->loss(ids, at::full({4, 2}, -1, at::kLong), {}, pass, {.density = TargetDensity::few}).sum;
    EXPECT_EQ(none.item<double>(), 0);
    EXPECT_TRUE(none.requires_grad());
}

// BERT's parts by the formulas of the authors' code.
TEST(Encoder, EmbeddingsHeadAndPooler) {
    const auto model = encoder({"model.layout=\"-\""});
    const Tensor ids = at::tensor(std::vector<int64_t>{4, 2}).view({2, 1});
    const Pass pass = model->pass(false);
    auto norm = [&](const Tensor& x, const std::string& name) {
        return at::layer_norm(x, {8}, parameter(*model, name + ".gain"), parameter(*model, name + ".bias"), 1e-5);
    };
    const Tensor x = parameter(*model, "embeddings.tokens").index_select(0, ids.squeeze(1)) +
                     parameter(*model, "embeddings.positions").narrow(0, 0, 2) +
                     parameter(*model, "embeddings.token_types")[0];
    const Tensor h = norm(x, "embeddings.norm");
    EXPECT_LT((model->encode(ids, pass).squeeze(1) - h).abs().max().item<double>(), 1e-12);
    const Tensor pooled =
        at::tanh(at::linear(h[0], parameter(*model, "pooler.weight"), parameter(*model, "pooler.bias")));
    EXPECT_LT((model->pooler(model->encode(ids, pass).select(0, 0))[0] - pooled).abs().max().item<double>(), 1e-12);
    const Tensor t = norm(
        at::gelu(at::linear(h, parameter(*model, "head.transform.weight"), parameter(*model, "head.transform.bias"))),
        "head.norm");
    const Tensor logits = at::linear(t, parameter(*model, "embeddings.tokens"), parameter(*model, "head.bias"));
    EXPECT_LT((model->forward(ids, {}, pass).logits_TBV.squeeze(1) - logits).abs().max().item<double>(), 1e-12);
}

TEST(Encoder, ContradictionsAreTold) {
    const auto checked = [](const std::vector<std::string>& sets) {
        Problems problems;
        check_config(parse_config(kEncoder, "test", sets), problems);
        problems.throw_if_any("test");
    };
    EXPECT_ERROR(checked({"objective.name=\"next\""}), ErrorKind::usage, "objective.name = \"masked\"");
    EXPECT_ERROR(checked({"objective.name=\"nxt\""}), ErrorKind::usage, "did you mean");
    EXPECT_ERROR(checked({"objective.mask_rat=0.2"}), ErrorKind::usage, "unknown key objective.mask_rat");
    EXPECT_ERROR(checked({"model.direction=\"causal\""}), ErrorKind::usage, "predicts from both sides");
    EXPECT_ERROR(checked({"objective.random_share=0.5"}), ErrorKind::usage, "more than all");
    EXPECT_ERROR(checked({"objective.span_end=0.5"}), ErrorKind::usage, "and it is \"tokens\"");
    EXPECT_ERROR(encoder({"model.memory=4"}), ErrorKind::usage, "model.memory = 0");
    EXPECT_ERROR(encoder({"model.layout=\"l\""}), ErrorKind::usage, "only runs forward");
    const auto bare = encoder({"model.head=\"none\""});
    EXPECT_ERROR(bare->forward(at::zeros({2, 1}, at::kLong), {}, bare->pass(false)), ErrorKind::usage,
                 "without a head");
    EXPECT_ERROR(encoder({"model.bert.pooler=false"})->pooler(at::zeros({1, 8})), ErrorKind::usage, "no pooler");
}

}  // namespace
}  // namespace lithe

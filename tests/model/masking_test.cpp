// Encoders: what is masked, that both sides are seen, and that BERT's parts stand where they belong.
#include "lithe/model/masking.h"

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
    "max_positions = 16\ntoken_types = 2\nembedding_norm = true\npooler = true\nhead = \"masked\"\n"
    "tie_embeddings = true\n[objective]\nname = \"masked\"\n";

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

TEST(Masking, SharesAreAsTheyWereAskedFor) {
    const Masking masking{.rate = .15, .mask_share = .8, .random_share = .1, .mask_id = 99, .vocabulary = 50};
    constexpr int kTokens = 200'000;
    double scored = 0, masked = 0, kept = 0;
    for (uint64_t place = 0; place < kTokens; ++place) {
        const auto choice = masking.choose(7, 5, place);
        if (!choice.scored) {
            EXPECT_EQ(choice.input, 7);
            continue;
        }
        ++scored, masked += choice.input == 99, kept += choice.input == 7;
        EXPECT_TRUE(choice.input == 99 || (choice.input >= 0 && choice.input < 50));
    }
    EXPECT_NEAR(scored / kTokens, .15, .0025);  // three standard errors
    EXPECT_NEAR(masked / scored, .8, .007);
    EXPECT_NEAR(kept / scored, .1 + .1 / 50, .006);
    EXPECT_EQ(masking.choose(7, 5, 3).input, masking.choose(7, 5, 3).input);
}

TEST(Masking, TheMaskTokenIsTheTokenizersOrOneMore) {
    const auto bytes = std::make_shared<tokenize::ByteTokenizer>();
    Config config = parse_config(kEncoder, "test");
    EXPECT_EQ(masking_of(config, *bytes)->mask_id, 256);
    EXPECT_EQ(model_vocabulary(config, *bytes), 257);
    config.objective.mask_token = "#";
    EXPECT_EQ(masking_of(config, *bytes)->mask_id, '#');
    EXPECT_EQ(model_vocabulary(config, *bytes), 256);
    config.objective.mask_token = "[MASK]";
    EXPECT_ERROR(masking_of(config, *bytes), ExitCode::usage, "is no token of the vocabulary");
    config.objective.name = "next";
    EXPECT_FALSE(masking_of(config, *bytes));
}

TEST(Encoder, EveryPositionSeesEveryOther) {
    const auto model = encoder();
    Tensor ids = at::arange(6, at::kLong).view({6, 1}), other = ids.clone();
    other[5][0] = 9;
    const Context context = model->context(false);
    const Tensor difference = (model->encode(ids, context) - model->encode(other, context)).abs().amax(2).squeeze(1);
    for (int t = 0; t < 6; ++t) EXPECT_GT(difference[t].item<double>(), 1e-9) << t;
}

TEST(Encoder, LossIsThatOfTheScoredPositionsAlone) {
    const auto model = encoder();
    const Tensor ids = at::arange(8, at::kLong).view({4, 2});
    Tensor targets = at::full({4, 2}, -1, at::kLong);
    targets[1][0] = 3, targets[3][1] = 10;
    const Context context = model->context(false);
    const Tensor logits = model->forward(ids, {}, context).logits_TBV;
    const double expected =
        -(at::log_softmax(logits[1][0], 0)[3] + at::log_softmax(logits[3][1], 0)[10]).item<double>();
    EXPECT_NEAR(model->loss(ids, targets, {}, context).sum.item<double>(), expected, 1e-10);
    const Tensor none = model->loss(ids, at::full({4, 2}, -1, at::kLong), {}, context).sum;
    EXPECT_EQ(none.item<double>(), 0);
    EXPECT_TRUE(none.requires_grad());
}

// BERT's parts by the formulas of the authors' code.
TEST(Encoder, EmbeddingsHeadAndPooler) {
    const auto model = encoder({"model.layout=\"-\""});
    const Tensor ids = at::tensor(std::vector<int64_t>{4, 2}).view({2, 1});
    const Context context = model->context(false);
    auto norm = [&](const Tensor& x, const std::string& name) {
        return at::layer_norm(x, {8}, parameter(*model, name + ".gain"), parameter(*model, name + ".bias"), 1e-5);
    };
    const Tensor x = parameter(*model, "embeddings.tokens").index_select(0, ids.squeeze(1)) +
                     parameter(*model, "embeddings.positions").narrow(0, 0, 2) +
                     parameter(*model, "embeddings.token_types")[0];
    const Tensor h = norm(x, "embeddings.norm");
    EXPECT_LT((model->encode(ids, context).squeeze(1) - h).abs().max().item<double>(), 1e-12);
    const Tensor pooled =
        at::tanh(at::linear(h[0], parameter(*model, "pooler.weight"), parameter(*model, "pooler.bias")));
    EXPECT_LT((model->pool(ids, context)[0] - pooled).abs().max().item<double>(), 1e-12);
    const Tensor t = norm(
        at::gelu(at::linear(h, parameter(*model, "head.transform.weight"), parameter(*model, "head.transform.bias"))),
        "head.norm");
    const Tensor logits = at::linear(t, parameter(*model, "embeddings.tokens"), parameter(*model, "head.bias"));
    EXPECT_LT((model->forward(ids, {}, context).logits_TBV.squeeze(1) - logits).abs().max().item<double>(), 1e-12);
}

TEST(Encoder, ContradictionsAreTold) {
    EXPECT_ERROR(encoder({"objective.name=\"next\""}), ExitCode::usage, "objective.name = \"masked\"");
    EXPECT_ERROR(encoder({"model.direction=\"causal\""}), ExitCode::usage, "predicted from both sides");
    EXPECT_ERROR(encoder({"model.memory=4"}), ExitCode::usage, "model.memory = 0");
    EXPECT_ERROR(encoder({"model.layout=\"u\""}), ExitCode::usage, "only runs forward");
    EXPECT_ERROR(encoder({"objective.random_share=0.5"}), ExitCode::usage, "more than all");
    const auto bare = encoder({"model.head=\"none\""});
    EXPECT_ERROR(bare->forward(at::zeros({2, 1}, at::kLong), {}, bare->context(false)), ExitCode::usage,
                 "without a head");
    EXPECT_ERROR(encoder({"model.pooler=false"})->pool(at::zeros({2, 1}, at::kLong), {}), ExitCode::usage, "no pooler");
}

}  // namespace
}  // namespace lithe

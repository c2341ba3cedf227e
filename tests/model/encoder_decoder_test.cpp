// Two stacks: what a decoder sees of an encoder, and what a layout needs for it.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/model/language_model.h"
#include "lithe/spec/config_io.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;

const std::string kTwoStacks =
    "[model]\nwidth = 8\nheads = 2\nlayout = \"(scf)x2\"\npositions = \"sinusoidal\"\ntie_embeddings = true\n"
    "[model.encoder]\nwidth = 12\nheads = 3\nlayout = \"sf\"\n[train]\nlength = 16\n";

std::unique_ptr<LanguageModel> made(const std::vector<std::string>& sets = {}) {
    auto model = std::make_unique<LanguageModel>(parse_config(kTwoStacks, "test", sets), 20);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    return model;
}

Tensor ids(int64_t length, int64_t rows, int64_t seed) {
    return (at::arange(length * rows, at::kLong) * 7 + seed).remainder(20).view({length, rows});
}

Bag source_of(const LanguageModel& model, const Tensor& source, const Tensor& flags = {}) {
    Aux aux;
    return model.encode_source(source, flags, false, {}, aux);
}

TEST(EncoderDecoder, EachStackHasItsOwnSettings) {
    const Config config = parse_config(kTwoStacks, "test");
    ASSERT_TRUE(config.encoder);
    EXPECT_EQ(config.encoder->width, 12);
    EXPECT_EQ(config.encoder->direction, Direction::bidirectional);
    EXPECT_EQ(config.encoder->positions, Positions::sinusoidal) << "of [model]";
    EXPECT_EQ(config.model.width, 8);
    EXPECT_EQ(config.model.direction, Direction::causal);
    const Config again = parse_config(to_toml(config), "again");
    EXPECT_TRUE(differences(config, again).empty());
    const Config from_json = config_from_json(to_json(config), "json");
    EXPECT_TRUE(differences(config, from_json).empty());
    const Config named = parse_config("[model]\nwidth = 8\n[model.decoder]\nwidth = 16\nlayout = \"sc\"\n", "test");
    EXPECT_EQ(named.model.width, 16);
    EXPECT_EQ(named.model.layout, "sc");
    EXPECT_FALSE(named.encoder);
}

TEST(EncoderDecoder, TheDecoderIsCausalAndSeesAllOfTheSource) {
    const auto model = made();
    const Tensor source = ids(5, 2, 1), target = ids(6, 2, 3);
    const Tensor logits = model->forward(target, {}, model->pass(false), source_of(*model, source)).logits_TBV;
    Tensor later = target.clone();
    later[5].fill_(0);
    const Tensor other = model->forward(later, {}, model->pass(false), source_of(*model, source)).logits_TBV;
    EXPECT_TRUE(at::equal(logits.narrow(0, 0, 5), other.narrow(0, 0, 5)));
    Tensor changed = source.clone();
    changed[4][0] = (changed[4][0] + 1).remainder(20);
    const Tensor moved = model->forward(target, {}, model->pass(false), source_of(*model, changed)).logits_TBV;
    for (int64_t t = 0; t < 6; ++t) EXPECT_FALSE(at::equal(moved[t][0], logits[t][0])) << t;
    EXPECT_TRUE(at::equal(moved.select(1, 1), logits.select(1, 1))) << "rows do not meet";
}

TEST(EncoderDecoder, PaddingOfTheSourceIsNotSeen) {
    const auto model = made();
    const Tensor source = ids(5, 2, 1), target = ids(6, 2, 3);
    Tensor flags = at::zeros({5, 2}, at::kByte), other = source.clone();
    flags.select(1, 0).narrow(0, 3, 2).fill_(int64_t(kPadding));
    other.select(1, 0).narrow(0, 3, 2).fill_(0);
    const auto logits = [&](const Tensor& from, const Tensor& padding) {
        return model->forward(target, {}, model->pass(false), source_of(*model, from, padding)).logits_TBV;
    };
    EXPECT_TRUE(at::equal(logits(source, flags), logits(other, flags)));
    const Tensor alone = model
                             ->forward(target.narrow(1, 0, 1), {}, model->pass(false),
                                       source_of(*model, source.narrow(0, 0, 3).narrow(1, 0, 1)))
                             .logits_TBV;
    expect_close(logits(source, flags).narrow(1, 0, 1), alone, 1e-12, "as if the row were shorter");
}

TEST(EncoderDecoder, TheStateHoldsTheSource) {
    const auto model = made({"model.memory=16", "model.positions=none"});
    const Tensor source = ids(5, 2, 1), target = ids(6, 2, 3);
    Pass pass = model->pass(false);
    pass.keep_projections = true;
    const Tensor whole = model->forward(target, {}, pass, source_of(*model, source)).logits_TBV;
    auto first = model->forward(target.narrow(0, 0, 2), {}, pass, source_of(*model, source));
    auto rest = model->forward(target.narrow(0, 2, 4), first.state, pass);
    expect_close(at::cat({first.logits_TBV, rest.logits_TBV}), whole, 1e-12, "in two pieces");
}

TEST(EncoderDecoder, TokensAreSharedWhereWidthsAreEqual) {
    const auto apart = made(), shared = made({"model.encoder.width=8", "model.encoder.heads=2"});
    auto tables = [](const LanguageModel& model) {
        int count = 0;
        for (size_t i = 0; i < model.parameters().size(); ++i)
            count += model.parameters().spec(i).name.ends_with("embeddings.tokens");
        return count;
    };
    EXPECT_EQ(tables(*apart), 2);
    EXPECT_EQ(tables(*shared), 1);
}

TEST(EncoderDecoder, GradientsReachBothStacks) {
    const auto model = made();
    Aux aux;
    const Bag source = model->encode_source(ids(5, 2, 1), {}, true, {}, aux);
    torch::autograd::backward({model->loss(ids(6, 2, 3), ids(6, 2, 4), {}, model->pass(true), {}, source).sum}, {});
    ParameterStore& store = model->parameters();
    store.collect_gradients(true);
    for (size_t i = 0; i < store.size(); ++i)
        EXPECT_GT(store.gradient(i).abs().max().item<double>(), 0) << store.spec(i).name;
}

TEST(EncoderDecoder, WrongStacksAreTold) {
    const auto told = [](const std::string& text, const std::string& words) {
        EXPECT_ERROR(LanguageModel(parse_config(text, "test"), 20), ErrorKind::usage, words);
    };
    told("[model]\nwidth = 8\nlayout = \"scf\"\n", "reads the encoder's output");
    told("[model]\nwidth = 8\nlayout = \"sf\"\n[model.encoder]\nlayout = \"sf\"\n", "no block of the decoder reads");
    told("[model]\nwidth = 8\nlayout = \"scf\"\n[model.encoder]\nlayout = \"l\"\n",
         "only runs forward in time, and model.encoder.direction");
    told("[model]\nwidth = 8\nlayout = \"<bigbird>f\"\n", "sees its whole segment, and model.direction is \"causal\"");
    told("[model]\nwidth = 8\nlayout = \"scf\"\n[model.encoder]\nlayout = \"scf\"\n", "reads the encoder's output");
    const std::string two = "[model]\nwidth = 8\nlayout = \"scf\"\n[model.encoder]\nlayout = \"sf\"\n";
    told(two + "ngrams.lengths = \"2-3\"\n", "n-grams are looked up by a decoder alone");
    told(two + "width = 9\npositions = \"sinusoidal\"\n", "needs an even width");
    told(two + "adaptive.cutoffs = \"4\"\n", "adaptive embeddings serve one stack");
    EXPECT_ERROR(parse_config("[model.other]\nwidth = 8\n", "test"), ErrorKind::usage, "unknown stack");
    EXPECT_ERROR(parse_config("[model.encoder]\nwidht = 8\n", "test"), ErrorKind::usage, "did you mean 'width'");
    const auto model = made();
    EXPECT_THROW(model->forward(ids(6, 2, 3), {}, model->pass(false)), std::exception) << "no source";
}

TEST(EncoderDecoder, ALayerThatIsLeftOutTakesNothingFromTheBag) {
    const auto model = made({"model.layout=(sf)(scf)"});
    model->keep_layers("2");
    const Tensor source = ids(5, 2, 1);
    EXPECT_NO_THROW(model->forward(ids(6, 2, 3), {}, model->pass(false), source_of(*model, source)));
}

// Two models whose parameters are in one store, each under a path of its own.
TEST(Store, HoldsTwoModels) {
    const auto store = std::make_shared<ParameterStore>();
    const Config small = parse_config("[model]\nwidth = 8\nheads = 2\nlayout = \"sf\"\n", "test"),
                 large = parse_config("[model]\nwidth = 16\nheads = 2\nlayout = \"(sf)x2\"\n", "test");
    const LanguageModel first(small, 20, store, "generator");
    LanguageModel second(large, 20, store);
    EXPECT_ERROR(LanguageModel(small, 20, store, "generator"), ErrorKind::failed, "generator.embeddings.tokens");
    second.materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    const LanguageModel alone(small, 20);
    EXPECT_EQ(store->count(), alone.parameters().count() + LanguageModel(large, 20).parameters().count());
    const Tensor sum = first.loss(ids(6, 2, 3), ids(6, 2, 4), {}, first.pass(true)).sum +
                       second.loss(ids(6, 2, 3), ids(6, 2, 4), {}, second.pass(true)).sum;
    torch::autograd::backward({sum}, {});
    store->collect_gradients(true);
    for (size_t i = 0; i < store->size(); ++i)
        EXPECT_GT(store->gradient(i).abs().max().item<double>(), 0) << store->spec(i).name;
}

}  // namespace
}  // namespace lithe

// Progressive layer dropping (Zhang & He 2020), whose numbers are those of tests/golden/make_layer_drop.py, and what
// layer dropping promises of state, cost and moments.
#include "lithe/model/layer_drop.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "lithe/model/language_model.h"
#include "lithe/ops/profile.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/optimizer.h"
#include "lithe/train/trainer.h"
#include "support/stepped.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;

LayerDropConfig progressive(ProgressiveForm form = ProgressiveForm::paper, double keep = 0.5, double gamma = 0.001) {
    LayerDropConfig config;
    config.method = LayerDropMethod::progressive;
    config.form = form;
    config.keep = keep;
    config.gamma = gamma;
    return config;
}

double theta(int64_t t) { return layer_chances(progressive(), 1, t)[0].keep; }

constexpr int64_t kLong = 1'000'000'000;  // theta has come to its end

TEST(LayerDrop, ThetaFallsExponentially) {
    const std::pair<int64_t, double> values[] = {{0, 1.0},        {1, .999500},    {10, .995025},
                                                 {100, .952419},  {500, .803265},  {1000, .683940},
                                                 {2000, .567668}, {5000, .503369}, {10000, .500023}};
    for (const auto& [t, expected] : values) EXPECT_NEAR(theta(t), expected, 1e-6) << t;
}

TEST(LayerDrop, ExpectedKeptLayers) {
    auto kept = [](const LayerDropConfig& config) {
        double sum = 0;
        for (const LayerChance& chance : layer_chances(config, 12, kLong)) sum += chance.keep;
        return sum;
    };
    const double rows[][3] = {
        {.5, 8.75, 9.25}, {.6, 9.40, 9.80}, {.7, 10.05, 10.35}, {.8, 10.70, 10.90}, {.9, 11.35, 11.45}};
    for (const auto& [keep, paper, code] : rows) {
        EXPECT_NEAR(kept(progressive(ProgressiveForm::paper, keep)), paper, 1e-9);
        EXPECT_NEAR(kept(progressive(ProgressiveForm::code, keep)), code, 1e-9);
    }
    // over 10,000 draws, two standard errors
    for (const ProgressiveForm form : {ProgressiveForm::paper, ProgressiveForm::code}) {
        double sum = 0;
        for (uint64_t key = 0; key < 10'000; ++key) {
            const LayerDraws draws = draw_layers(progressive(form), 12, kLong, key);
            for (const LayerDraw& draw : draws.layers) sum += draw.kept;
        }
        EXPECT_NEAR(sum / 10'000, form == ProgressiveForm::paper ? 8.75 : 9.25, 0.03) << name_of(form);
    }
}

TEST(LayerDrop, ReferenceCodeSamplesWithOnePAndDividesByTheNext) {
    const auto chances = layer_chances(progressive(ProgressiveForm::code), 12, kLong);
    EXPECT_NEAR(chances[0].keep, 1, 1e-12);
    EXPECT_NEAR(chances[0].divisor, .95833, 1e-5);
    EXPECT_NEAR(chances[11].keep, .54167, 1e-5);
    EXPECT_NEAR(chances[11].divisor, .5, 1e-12);
    // the update number 1 still runs with theta(0)
    EXPECT_EQ(layer_chances(progressive(ProgressiveForm::code), 12, 1)[11].divisor, 1);
    EXPECT_LT(layer_chances(progressive(ProgressiveForm::code), 12, 2)[11].divisor, 1);
}

TEST(LayerDrop, TheToy) {
    auto run = [](ProgressiveForm form, std::vector<bool>& kept) {
        double x = 1;
        const LayerDraws draws = draws_of(layer_chances(progressive(form), 4, kLong), {.30, .95, .70, .55});
        for (const LayerDraw& draw : draws.layers) {
            kept.push_back(draw.kept);
            if (draw.kept) x *= std::pow(1 + 0.1 * draw.scale, 2);
        }
        return x;
    };
    std::vector<bool> paper, code;
    EXPECT_NEAR(run(ProgressiveForm::paper, paper), 1.241633, 1e-6);
    EXPECT_NEAR(run(ProgressiveForm::code, code), 2.405867, 1e-6);
    EXPECT_EQ(paper, (std::vector<bool>{1, 0, 0, 0}));
    EXPECT_EQ(code, (std::vector<bool>{1, 0, 1, 1}));
}

TEST(LayerDrop, StochasticDepthAndLayerDrop) {
    LayerDropConfig config;
    config.method = LayerDropMethod::stochastic_depth;
    config.keep = 0.5;
    auto chances = layer_chances(config, 4, 7);
    EXPECT_DOUBLE_EQ(chances[0].keep, .875);
    EXPECT_DOUBLE_EQ(chances[3].keep, .5);
    EXPECT_DOUBLE_EQ(chances[3].divisor, 1);
    EXPECT_DOUBLE_EQ(inference_layers(config, 4)->layers.at(3).scale, .5);
    config.method = LayerDropMethod::layerdrop;
    config.keep = 0.8;
    for (const LayerChance& chance : layer_chances(config, 4, 7)) EXPECT_DOUBLE_EQ(chance.keep, .8);
    EXPECT_FALSE(inference_layers(config, 4));
}

std::string small_text(const std::string& drop, const std::string& layout = "(sf)x3") {
    return "[model]\nwidth = 8\nheads = 2\nmemory = 6\npositions = \"relative\"\nlayout = \"" + layout +
           "\"\n[train]\nlength = 6\nbatch = 4\n[layer_drop]\n" + drop;
}

struct Small {
    Config config;
    std::unique_ptr<LanguageModel> model;
    Tensor ids = at::arange(24, at::kLong).remainder(11).view({6, 4}), targets = (ids + 1).remainder(11);

    explicit Small(const std::string& drop, const std::string& layout = "(sf)x3") {
        config = parse_config(small_text(drop, layout), "test");
        model = std::make_unique<LanguageModel>(config, 11);
        model->materialize(at::kFloat, at::kFloat, at::kCPU, 1);
    }
    Pass pass(LayerDraws draws) const {
        Pass c = model->pass(true);
        c.entries.put(std::move(draws));
        return c;
    }
    static LayerDraws all(bool first, bool second, bool third, double scale = 1) {
        return {{{first, scale}, {second, scale}, {third, scale}}};
    }
    double loss(const LayerDraws& draws, State* state = nullptr) const { return loss(pass(draws), state); }
    double loss(const Pass& of, State* state = nullptr) const {
        auto out = model->loss(ids, targets, state ? *state : State(), of);
        if (state) *state = out.state.detach();
        return out.sum.item<double>();
    }
};

TEST(LayerDrop, WithoutDecayTheRunIsTheBaseline) {
    Small plain("method = \"none\""), kept("method = \"progressive\"\ngamma = 0.0"),
        full("method = \"progressive\"\nkeep = 1.0");
    for (int64_t t : {int64_t(0), kLong}) {
        const DrawKeys keys{.update = 5, .updates = t};
        const double expected = plain.loss(plain.model->pass(true, keys));
        EXPECT_EQ(kept.loss(kept.model->pass(true, keys)), expected);
        EXPECT_EQ(full.loss(full.model->pass(true, keys)), expected);
    }
}

TEST(LayerDrop, SkippedLayersCostNothingAndGetNoGradient) {
    Small small("method = \"progressive\"");
    auto flops = [&](const LayerDraws& draws) {
        ops::Profiler profiler;
        small.loss(draws);
        double sum = 0;
        for (const ops::ProfileRow& row : profiler.rows()) sum += row.flops;
        return sum;
    };
    const double all = flops(Small::all(1, 1, 1)), two = flops(Small::all(1, 0, 1)), none = flops(Small::all(0, 0, 0));
    EXPECT_NEAR((all - two) * 3, all - none, 1e-9 * all);
    EXPECT_GT(all - none, 0.5 * all);
    auto out = small.model->loss(small.ids, small.targets, {}, small.pass(Small::all(1, 0, 1)));
    torch::autograd::backward({out.sum}, {});
    ParameterStore& store = small.model->parameters();
    store.collect_gradients(true);
    for (size_t i = 0; i < store.size(); ++i) {
        const std::string& name = store.spec(i).name;
        const bool second = name.rfind("decoder.layers.1.", 0) == 0;
        EXPECT_EQ(store.touched(i), !second) << name;
        EXPECT_EQ(store.gradient(i).abs().max().item<double>() > 0, !second) << name;
    }
}

// A layer's memory is what enters it, and something enters it when it is skipped too.
TEST(LayerDrop, TheMemoryOfASkippedLayerTakesItsInput) {
    Small small("method = \"progressive\"");
    State skipped, run;
    small.loss(Small::all(0, 1, 1), &skipped);
    small.loss(Small::all(1, 1, 1), &run);
    auto first = flatten(skipped), second = flatten(run);
    ASSERT_EQ(first.size(), second.size());
    EXPECT_TRUE(at::equal(first[0].second.value, second[0].second.value)) << "the first layer's memory";
    EXPECT_FALSE(at::equal(first[1].second.value, second[1].second.value)) << "other numbers enter the second layer";
}

TEST(LayerDrop, BranchesAreScaled) {
    Small small("method = \"progressive\"", "fff");
    const double plain = small.loss(Small::all(1, 1, 1)), halved = small.loss(Small::all(1, 1, 1, 0.5)),
                 zero = small.loss(Small::all(1, 1, 1, 0)), none = small.loss(Small::all(0, 0, 0));
    EXPECT_EQ(zero, none);
    EXPECT_NE(halved, plain);
    EXPECT_NE(halved, zero);
}

TEST(LayerDrop, HeldMomentsStayAndAdvancingOnesFall) {
    for (const OptimizerKind rule : {OptimizerKind::adamw, OptimizerKind::muon})
        for (bool hold : {false, true}) {
            Small small("method = \"progressive\"");
            OptimizerConfig config;
            config.name = rule;
            config.learning_rate = 0.01;
            Optimizer optimizer(config, small.model->parameters(), hold);
            auto step = [&](const LayerDraws& draws) {
                auto out = small.model->loss(small.ids, small.targets, {}, small.pass(draws));
                torch::autograd::backward({out.sum}, {});
                small.model->parameters().collect_gradients(true);
                optimizer.step(0.01, 1);
            };
            step(Small::all(1, 1, 1));
            ParameterStore& store = small.model->parameters();
            size_t i = 0;
            while (store.spec(i).name != "decoder.layers.1.attention.qkv") ++i;
            const Tensor weight = store.master(i).clone(), mean = store.master_view(optimizer.m(), i).clone();
            step(Small::all(1, 0, 1));
            EXPECT_EQ(at::equal(weight, store.master(i)), hold) << name_of(rule);
            EXPECT_EQ(at::equal(mean, store.master_view(optimizer.m(), i)), hold) << name_of(rule);
        }
}

TEST(LayerDrop, DrawsAgreeOverAnUpdateWhenAsked) {
    const LayerDropConfig config = progressive();
    bool differ = false;
    for (uint64_t key = 0; key < 20; ++key) {
        const auto a = draw_layers(config, 12, kLong, key), b = draw_layers(config, 12, kLong, key);
        for (size_t i = 0; i < 12; ++i) EXPECT_EQ(a.layers[i].kept, b.layers[i].kept);
        const auto c = draw_layers(config, 12, kLong, key + 1000);
        for (size_t i = 0; i < 12; ++i) differ = differ || a.layers[i].kept != c.layers[i].kept;
    }
    EXPECT_TRUE(differ);
}

// Which parameters a second micro-batch reaches that the first did not: none when an update draws once.
TEST(LayerDrop, AnUpdateDrawsOnceOrForEveryMicroBatch) {
    for (bool once : {true, false}) {
        testing::Stepped made(small_text(std::string("method = \"layerdrop\"\nkeep = 0.5\ndraw = ") +
                                         (once ? "\"update\"" : "\"micro_batch\"")),
                              {.vocabulary = 11, .master = at::kFloat, .working = at::kFloat});
        const Small small("method = \"none\"");
        const Batch batch = testing::batch_of(small.ids, small.targets);
        ParameterStore& store = made.model.parameters();
        int reached_later = 0;
        for (uint64_t key = 0; key < 20; ++key) {
            made.step->accumulate({batch}, key);
            std::vector<bool> first;
            for (size_t i = 0; i < store.size(); ++i) first.push_back(store.touched(i));
            made.step->accumulate({batch, batch}, key);
            for (size_t i = 0; i < store.size(); ++i) reached_later += store.touched(i) && !first[i];
        }
        EXPECT_EQ(reached_later == 0, once);
    }
}

// A pruned model is the model that never had the other layers.
TEST(LayerDrop, PruningKeepsTheLayersAskedFor) {
    EXPECT_EQ(parse_layers("1,3", 3), (std::vector<size_t>{0, 2}));
    EXPECT_EQ(parse_layers("every:2", 5), (std::vector<size_t>{1, 3}));
    for (const char* wrong : {"", "0", "4", "2,2", "3,1", "a", "every:0", "every:4", "1,,2"})
        EXPECT_THROW(parse_layers(wrong, 3), Error) << wrong;
    Small small("method = \"layerdrop\""), pruned("method = \"layerdrop\"");
    pruned.model->keep_layers("1,3");
    EXPECT_EQ(pruned.model->loss(pruned.ids, pruned.targets, {}, pruned.model->pass(false)).sum.item<double>(),
              small.loss(Small::all(1, 0, 1)));
}

TEST(LayerDrop, WhatCannotBeDroppedIsRefused) {
    auto refused = [](const std::string& model, const std::string& told) {
        Config config =
            parse_config("[model]\nwidth = 8\n" + model + "\n[layer_drop]\nmethod = \"progressive\"\n", "test");
        Problems problems;
        check_model(config, problems);
        ASSERT_FALSE(problems.empty()) << model;
        EXPECT_NE(problems.lines()[0].find(told), std::string::npos) << problems.lines()[0];
    };
    refused("layout = \"ux3\"", "skip of its own");
    refused("layout = \"(sf)x3\"\nnorm = \"post\"", "norm before the block");
    refused("layout = \"(sf)x3\"\nmemory = 4\nmemory_form = \"projections\"", "memory_form");
}

}  // namespace
}  // namespace lithe

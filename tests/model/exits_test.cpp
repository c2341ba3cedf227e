// Positions that leave a stack early: what the layers above take of them, what later positions see, when they leave.
#include "lithe/model/exits.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/infer/session.h"
#include "lithe/model/language_model.h"
#include "lithe/objectives/exits.h"
#include "lithe/spec/config_io.h"
#include "support/block_variants.h"
#include "support/built_stack.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::wave;

constexpr int64_t kVocabulary = 30;

Config config_of(const std::string& layout, const std::string& more = "") {
    return parse_config(
        "[model]\nwidth = 16\nheads = 2\nmemory = 12\nfinal_norm = true\nlayout = \"" + layout + "\"\n" + more, "test");
}

// Weights large enough for exits at different layers.
struct Model {
    Config config;
    LanguageModel model;
    Model(const std::string& layout, std::vector<size_t> exits, const std::string& more = "",
          at::ScalarType type = at::kDouble)
        : config(config_of(layout, more)),
          model(config, kVocabulary, nullptr, "", exits) {
        model.materialize(type, type, at::kCPU, 4);
        const at::NoGradGuard no_grad;
        for (size_t i = 0; i < model.parameters().size(); ++i)
            model.parameters().working(i).add_(wave(model.parameters().spec(i).shape, 0.7, double(i), 0.2, type));
    }
};

Tensor some_ids(int64_t steps, int64_t rows) {
    return (at::arange(steps * rows, at::kLong) * 7919 % kVocabulary).view({steps, rows});
}

// Exits of all positions, of so many there are.
Tensor some_exits(int64_t steps, int64_t rows, int64_t count) {
    return (at::arange(steps * rows, at::kLong) * 31 % 7 % count).view({steps, rows});
}

// Logits by the plain layers: behind its exit a position is what it was, and the layers above read it so.
Tensor logits_by_layers(const Model& with, const Tensor& ids_TB, const Tensor& exit_TB) {
    const LanguageModel& model = with.model;
    const TokenStack& decoder = model.decoder();
    const Pass pass = model.pass(false);
    State none;
    Tensor x = decoder.embedding()(ids_TB, {}, pass, none);
    const auto layers = decoder.stack().root->units();
    for (size_t layer = 0; layer < layers.size(); ++layer) {
        const Tensor y = layers[layer]->forward(x, {}, pass).flow.x_TBD;
        Tensor above = at::zeros_like(exit_TB).to(at::kBool);
        for (size_t exit = 0; exit < model.exits()->layers().size(); ++exit)
            if (model.exits()->layers()[exit] < layer) above = above.logical_or(exit_TB.eq(int64_t(exit)));
        x = at::where(above.unsqueeze(2), x, y);
    }
    Tensor h = decoder.final_norm()(x);
    for (size_t exit = 0; exit < model.exits()->layers().size(); ++exit)
        h = at::where(exit_TB.eq(int64_t(exit)).unsqueeze(2), model.exits()->norm(exit)(x), h);
    return model.head()->logits(h);
}

const char* const kStacks[] = {"(sf)x4", "(sf)x4|norm = \"post\"", "[sf]x4|positions = \"rotary\"",
                               "(sf)x4|positions = \"relative\"",
                               "(sf)x4|[blocks.s]\nkey_value_heads = 1\nwindow = 3\nquery_key_norm = true"};

Model model_of(const std::string& text, const std::vector<size_t>& exits, at::ScalarType type = at::kDouble) {
    const size_t bar = text.find('|');
    return {text.substr(0, bar), exits, bar == std::string::npos ? "" : text.substr(bar + 1) + "\n", type};
}

TEST(Exits, LayersAboveTakeWhatAPositionWas) {
    for (const char* text : kStacks)
        for (const std::vector<size_t>& exits : {std::vector<size_t>{0, 1, 2}, std::vector<size_t>{1}}) {
            const Model with = model_of(text, exits);
            const Tensor ids = some_ids(9, 2), exit_TB = some_exits(9, 2, int64_t(exits.size()) + 1);
            const Tensor logits =
                with.model.forward(ids, {}, with.model.pass(false).with(ExitChoices{exit_TB})).logits_TBV;
            expect_close(logits, logits_by_layers(with, ids, exit_TB), 1e-11, text);
        }
}

// Two blocks that attend in one layer: token by token is as all at once, with inputs and with projections kept.
TEST(Exits, TokenByTokenIsTheWhole) {
    for (const std::string text :
         {"(sf)x4", "(ssf)x3", "(sf)x4|positions = \"relative\"", "(sf)x3|[blocks.s]\nforget_gate = true"})
        for (const bool projections : {false, true}) {
            const Model with = model_of(text, {0, 1});
            const Tensor ids = some_ids(9, 2), exit_TB = some_exits(9, 2, 3);
            Pass pass = with.model.pass(false);
            pass.keep_projections = projections;
            pass.window = pass.memory;
            const Tensor whole = with.model.forward(ids, {}, pass.with(ExitChoices{exit_TB})).logits_TBV;
            State state;
            for (int64_t t = 0; t < 9; ++t) {
                const auto out =
                    with.model.forward(ids.narrow(0, t, 1), state, pass.with(ExitChoices{exit_TB.narrow(0, t, 1)}));
                state = out.state;
                expect_close(out.logits_TBV[0], whole[t], 1e-10, text + ", token " + std::to_string(t));
            }
        }
}

TEST(Exits, RulesLookAtTheHead) {
    const std::vector<float> even(4, 0), sharp = {0, 3, 0, 0}, other = {4, 0, 0, 0};
    const auto leaves = [](const char* rule, const std::vector<float>& logits) {
        return Leaver(parse_exit_rule(rule, "test")).leaves(logits.data(), 4);
    };
    EXPECT_TRUE(leaves("confidence:0.25", even));
    EXPECT_FALSE(leaves("confidence:0.26", even));
    EXPECT_TRUE(leaves("confidence:0.87", sharp));  // e^3 / (e^3 + 3) = 0.87005
    EXPECT_FALSE(leaves("confidence:0.871", sharp));
    EXPECT_TRUE(leaves("entropy:1.387", even));  // log 4
    EXPECT_FALSE(leaves("entropy:1.386", even));
    EXPECT_TRUE(leaves("entropy:0.53", sharp));  // 0.5293
    EXPECT_FALSE(leaves("entropy:0.529", sharp));
    Leaver patient(parse_exit_rule("patience:2", "test"));
    std::vector<bool> left;
    for (const auto* logits : {&sharp, &sharp, &other, &other, &other})
        left.push_back(patient.leaves(logits->data(), 4));
    EXPECT_EQ(left, (std::vector<bool>{false, false, false, false, true}));
}

TEST(Exits, RulesAreTold) {
    for (const char* good : {"confidence:0.9", "entropy:0.05", "patience:3"})
        EXPECT_EQ(to_string(parse_exit_rule(good, "test")), good);
    for (const char* bad : {"", "confidence", "confidence:", "confidence:1.5", "confidence:-1", "entropy:-0.1",
                            "entropy:x", "entropy:inf", "patience:0", "patience:1.5", "patience:nan", "confidnce:0.5"})
        EXPECT_ERROR(parse_exit_rule(bad, "--exit"), ErrorKind::usage, "unknown rule of exits");
    EXPECT_ERROR(parse_exit_measure("confidnce", "--exit"), ErrorKind::usage, "confidence");
}

// By a rule: a text at once, token by token on tensors, and by single steps of one or several rows; all leave at the
// same layers and say the same.
TEST(Exits, SessionsSayWhatTheWholeTextDoes) {
    int several = 0;
    for (const char* text : kStacks)
        for (const std::string rule : {"confidence:0.25", "entropy:2.4", "patience:1"}) {
            if (text != kStacks[0] && rule[0] == 'e') continue;
            Model with = model_of(text, {0, 1, 2}, at::kFloat);
            const auto counts = std::make_shared<ExitCounts>();
            with.model.set_leaving(parse_exit_rule(rule, "test"), counts);
            const Tensor ids = some_ids(12, 2);
            const at::NoGradGuard no_grad;
            Pass pass = with.model.pass(false);
            pass.window = pass.memory;
            const Tensor whole = with.model.forward(ids, {}, pass).logits_TBV;
            const std::vector<uint64_t> of_whole = counts->counts();
            size_t used = 0;
            for (const uint64_t each : of_whole) used += each > 0;
            several += used > 1;
            for (const auto path : {Session::Path::forward, Session::Path::steps}) {
                counts->clear();
                Session session(with.model, {.most_rows = 2, .path = path});
                std::vector<std::vector<int64_t>> prompts(2);
                for (int64_t row = 0; row < 2; ++row)
                    for (int64_t t = 0; t < 3; ++t) prompts[size_t(row)].push_back(ids[t][row].item<int64_t>());
                Session::Logits logits = session.admit(prompts);
                for (int64_t t = 3;; ++t) {
                    for (int64_t row = 0; row < 2; ++row) {
                        const Tensor got = at::from_blob(const_cast<float*>(logits.row(row)), {kVocabulary});
                        expect_close(got, whole[t - 1][row], 2e-4, std::string(text) + ", " + rule);
                    }
                    if (t == 12) break;
                    const int64_t tokens[] = {ids[t][0].item<int64_t>(), ids[t][1].item<int64_t>()};
                    logits = session.step(tokens);
                }
                EXPECT_EQ(counts->counts(), of_whole) << text << ", " << rule;
            }
        }
    EXPECT_GE(several, 8) << "of 11: rows leave at different exits";
}

// One row: where it has left, single steps leave the layers above out, and what they remember is there all the same.
TEST(Exits, ARowThatLeftIsRemembered) {
    Model with = model_of("(sf)x4", {0, 1, 2}, at::kFloat);
    with.model.set_leaving(parse_exit_rule("confidence:0", "test"));  // at the first exit
    const at::NoGradGuard no_grad;
    const Tensor ids = some_ids(12, 1);
    Pass pass = with.model.pass(false);
    pass.window = pass.memory;
    const Tensor whole = with.model.forward(ids, {}, pass).logits_TBV;
    expect_close(whole, logits_by_layers(with, ids, at::zeros_like(ids)), 1e-4, "all leave first");
    Session session(with.model, {.path = Session::Path::steps});
    session.admit({{ids[0][0].item<int64_t>()}});
    for (int64_t t = 1; t < 12; ++t) {
        const int64_t token = ids[t][0].item<int64_t>();
        const Session::Logits logits = session.step({&token, 1});
        expect_close(at::from_blob(const_cast<float*>(logits.data), {kVocabulary}), whole[t][0], 2e-4, "step");
    }
}

// Each exit's loss is that of a model that ends there.
TEST(Exits, LossesAreThoseOfShallowModels) {
    const Model with = model_of("(sf)x3", {0, 1});
    const Tensor ids = some_ids(6, 2), targets = some_ids(7, 2).narrow(0, 1, 6);
    const auto losses = with.model.exit_losses(ids, targets, {}, with.model.pass(false));
    ASSERT_EQ(losses.sums.size(), 3u);
    for (size_t exit = 0; exit < 3; ++exit) {
        LanguageModel shallow(config_of("(sf)x" + std::to_string(exit + 1)), kVocabulary);
        shallow.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
        const at::NoGradGuard no_grad;
        for (size_t i = 0; i < shallow.parameters().size(); ++i) {
            std::string name = shallow.parameters().spec(i).name;
            const std::string norm = "decoder.norm";
            if (exit < 2 && name.rfind(norm, 0) == 0)
                name = "exits." + std::to_string(exit + 1) + ".norm" + name.substr(norm.size());
            bool found = false;
            for (size_t j = 0; j < with.model.parameters().size(); ++j)
                if (with.model.parameters().spec(j).name == name) {
                    shallow.parameters().working(i).copy_(with.model.parameters().working(j));
                    found = true;
                }
            ASSERT_TRUE(found) << name;
        }
        const Tensor expected = shallow.loss(ids, targets, {}, shallow.pass(false)).sum;
        expect_close(losses.sums[exit], expected, 1e-10, "exit " + std::to_string(exit));
    }
}

std::vector<Tensor> gradients_of(Model& with, const Recompute& recompute, bool mixed) {
    with.model.set_recompute(recompute, {.length = 6});
    for (size_t i = 0; i < with.model.parameters().size(); ++i)
        with.model.parameters().working(i).mutable_grad() = Tensor();
    Pass pass = with.model.pass(true, {.update = 3, .rows = 5});
    const Tensor ids = some_ids(6, 2), targets = some_ids(7, 2).narrow(0, 1, 6);
    Tensor loss;
    if (mixed) {
        pass = pass.with(ExitChoices{draw_exits(3, 6, 2, pass.keys)});
        loss = with.model.loss(ids, targets, {}, pass).sum;
    } else {
        const auto losses = with.model.exit_losses(ids, targets, {}, pass);
        loss = losses.sums[0] + 2 * losses.sums[1] + 3 * losses.sums[2];
    }
    torch::autograd::backward({loss}, {});
    std::vector<Tensor> list = {loss.detach()};
    for (size_t i = 0; i < with.model.parameters().size(); ++i)
        list.push_back(with.model.parameters().working(i).grad());
    return list;
}

TEST(Exits, RecomputedLayersHaveTheSameGradients) {
    for (const bool mixed : {false, true}) {
        Model with("(sf)x3", {0, 1}, "dropout = 0.1\n");
        const auto expected = gradients_of(with, {}, mixed);
        for (size_t i = 1; i < expected.size(); ++i) EXPECT_TRUE(expected[i].defined()) << i;
        for (const auto method : {RecomputeMethod::uniform, RecomputeMethod::optimal}) {
            const auto got = gradients_of(with, {method, 1}, mixed);
            // what an exit reads is summed with what the next layer does, in another order
            for (size_t i = 0; i < expected.size(); ++i)
                expect_close(got[i], expected[i], 1e-12 * (1 + expected[i].abs().max().item<double>()), "gradient");
        }
    }
}

TEST(Exits, AreDrawnForEachRowByItsNumber) {
    const DrawKeys keys{.update = 3, .rows = 5};
    const Tensor all = draw_exits(4, 500, 8, keys);
    for (int64_t exit = 0; exit < 4; ++exit)
        EXPECT_NEAR(all.eq(exit).to(at::kDouble).mean().item<double>(), 0.25, 0.03) << exit;
    DrawKeys later = keys;
    later.first_row = 5;
    EXPECT_TRUE(at::equal(draw_exits(4, 500, 3, later), all.narrow(1, 5, 3)));
    later = keys;
    later.update = 4;
    EXPECT_FALSE(at::equal(draw_exits(4, 500, 8, later), all));
}

// Of causal stacks without a source: others are refused before.
std::vector<testing::BlockVariant> causal_variants() {
    std::vector<testing::BlockVariant> variants = testing::block_variants();
    std::erase_if(variants, [](const testing::BlockVariant& each) {
        return !each.kind->traits.causal || each.kind->traits.reads_source() ||
               testing::has_value(each, "bidirectional", "true");
    });
    return variants;
}

// Counted with the model: aligned training reads the head at every exit.
TEST(Exits, AlignedTrainingCountsItsHeads) {
    const auto flops = [](const std::string& objective) {
        return count_cost(models_to_count(config_of("(sf)x3", "[objective]\n" + objective), kVocabulary), {.length = 8})
            .flops_per_token;
    };
    const double plain = flops("name = \"next\"\n");
    EXPECT_EQ(flops("name = \"exits\"\n") - plain, 2 * 2 * 16 * kVocabulary);
    EXPECT_EQ(flops("name = \"exits\"\nexits = \"1\"\n") - plain, 2 * 16 * kVocabulary);
    EXPECT_EQ(flops("name = \"exits\"\nexit_training = \"mixed\"\n"), plain);
}

class ExitKinds : public ::testing::TestWithParam<int> {};

// A kind can stand in a stack with exits, and then leaves the same state whether its positions are held one by one or
// all together; or it is refused by name.
TEST_P(ExitKinds, HoldPositionsOrAreRefused) {
    const testing::BlockVariant variant = causal_variants()[size_t(GetParam())];
    const BlockTraits& traits = variant.kind->traits;
    std::string more = "[blocks.k]\nkind = \"" + std::string(variant.kind->name) + "\"\n";
    for (const RawValue& value : variant.values) more += value.key + " = " + value.text + "\n";
    if (!traits.holds && !traits.position_wise) {
        Problems problems;
        check_exits(testing::small("(kf)x2", more), problems);
        EXPECT_ERROR(problems.throw_if_any("test"), ErrorKind::usage, "carries a state that needs every position");
        return;
    }
    const testing::BuiltStack built("(kf)x2", {}, more, {.exits = true});
    const Unit& layer = *built.stack.root->units()[1];
    for (const bool projections : {false, true}) {
        Pass pass{.memory = 6, .keep_projections = projections};
        const Tensor before = wave({5, 2, 8}, 0.8, 0.4, 1), x = wave({3, 2, 8}, 0.3, 0.1, 1);
        const State state = layer.forward(before, {}, pass).state;
        const Tensor held = at::ones({3, 2}, at::kBool);
        const UnitOutput one_by_one = layer.forward(x, state, pass.with(HeldPositions{held, false}));
        const UnitOutput together = layer.forward(x, state, pass.with(HeldPositions{held, true}));
        EXPECT_TRUE(at::equal(one_by_one.flow.x_TBD, x));
        EXPECT_TRUE(at::equal(together.flow.x_TBD, x));
        const auto a = flatten(one_by_one.state), b = flatten(together.state);
        ASSERT_EQ(a.size(), b.size());
        for (size_t i = 0; i < a.size(); ++i) {
            EXPECT_EQ(a[i].first, b[i].first);
            expect_close(a[i].second.value, b[i].second.value, 1e-12, a[i].first);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(AllKinds, ExitKinds, ::testing::Range(0, int(causal_variants().size())),
                         [](const auto& which) { return causal_variants()[size_t(which.param)].name; });

TEST(Exits, WhatCannotBeIsTold) {
    const auto problems_of = [](const std::string& layout, const std::string& more) {
        const Config config = parse_config("[model]\nwidth = 16\nlayout = \"" + layout + "\"\n" + more, "test");
        Problems problems;
        ExitsValues().check(config, problems);
        problems.throw_if_any("test");
    };
    problems_of("(sf)x3", "");
    EXPECT_ERROR(problems_of("~(sf)x3", ""), ErrorKind::usage, "a reversible run ('~') has no stream to read");
    EXPECT_ERROR(problems_of("f@[sf]x3", ""), ErrorKind::usage, "a halting run ('@') decides itself");
    EXPECT_ERROR(problems_of("(sf)", ""), ErrorKind::usage, "the layout has one layer");
    EXPECT_ERROR(problems_of("(sf)x3", "direction = \"bidirectional\"\n"), ErrorKind::usage, "causal model");
    EXPECT_ERROR(problems_of("(sf)x3", "positions = \"coordinates\"\n"), ErrorKind::usage, "coordinates change");
    EXPECT_ERROR(problems_of("(sf)x3", "head = \"none\"\n"), ErrorKind::usage, "exits need a head");
    EXPECT_ERROR(problems_of("ux3", ""), ErrorKind::usage, "block 'u' (srupp) carries a state");
    EXPECT_ERROR(exit_layers("3", config_of("(sf)x3")), ErrorKind::usage, "no exit stands before the last layer");
    EXPECT_ERROR(exit_layers("2,9", config_of("(sf)x3")), ErrorKind::usage, "objective.exits");
    EXPECT_EQ(exit_layers("all", config_of("(sf)x3")), (std::vector<size_t>{0, 1}));
    EXPECT_EQ(exit_layers("every:2", config_of("(sf)x2fs")), (std::vector<size_t>{1}));
    Model with("(sf)x3", {0});
    EXPECT_ERROR(with.model.keep_layers("1,2"), ErrorKind::usage, "a stack with exits is run from its first layer on");
    LanguageModel plain(config_of("(sf)x3"), kVocabulary);
    EXPECT_ERROR(plain.set_leaving({}), ErrorKind::usage, "this model has no exits");
}

}  // namespace
}  // namespace lithe

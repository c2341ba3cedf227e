// The network of a search: a mixture of candidates, and one candidate alone.
#include "lithe/model/slot.h"

#include <torch/csrc/autograd/autograd.h>

#include "lithe/model/language_model.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/architecture.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::wave;

Config config_of(const std::string& layout, const std::string& more = "") {
    return parse_config("[model]\nwidth = 8\nheads = 2\nmemory = 6\npositions = \"relative\"\nlayout = \"" + layout +
                            "\"\n[search]\nsupernet = " + (layout.find('?') == std::string::npos ? "false" : "true") +
                            "\n" + more,
                        "test");
}

std::unique_ptr<LanguageModel> made(const std::string& layout, const std::string& more = "") {
    auto model = std::make_unique<LanguageModel>(config_of(layout, more), 11);
    model->materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    return model;
}

// Copies what has the same shape and role in order: the candidates that are chosen become the layers of `to`.
void copy_layers(const LanguageModel& from, const std::vector<size_t>& blocks, LanguageModel& to) {
    at::NoGradGuard no_grad;
    const auto copy = [&](size_t a, size_t b) { to.parameters().working(b).copy_(from.parameters().working(a)); };
    for (size_t i = 0; i < to.parameters().size(); ++i) {
        const std::string& name = to.parameters().spec(i).name;
        if (name.rfind("decoder.layers.", 0) == 0) continue;
        for (size_t k = 0; k < from.parameters().size(); ++k)
            if (from.parameters().spec(k).name == name) copy(k, i);
    }
    for (size_t layer = 0; layer < blocks.size(); ++layer) {
        const Shell::Parts &a = *from.stack().blocks[blocks[layer]].parts, &b = *to.stack().blocks[layer].parts;
        auto own = [](const LanguageModel& model, const Shell::Parts& parts) {  // without what all attention shares
            std::vector<size_t> indices;
            for (size_t i = parts.first_parameter; i < parts.end_parameter; ++i)
                if (model.parameters().spec(i).name.rfind("decoder.layers.", 0) == 0) indices.push_back(i);
            return indices;
        };
        const auto ours = own(from, a), theirs = own(to, b);
        ASSERT_EQ(ours.size(), theirs.size());
        for (size_t i = 0; i < ours.size(); ++i) copy(ours[i], theirs[i]);
    }
}

const Tensor kIds = at::arange(10, at::kLong).view({5, 2});

Tensor logits(const LanguageModel& model, State& state, const std::optional<SlotChoices>& choices = std::nullopt) {
    Pass pass = model.pass(false);
    if (choices) pass.entries.put(*choices);
    auto out = model.forward(kIds, state, pass);
    state = std::move(out.state);
    return out.logits_TBV;
}

SlotChoices weights(const std::vector<std::vector<double>>& rows) {
    SlotChoices choices;
    for (const auto& row : rows) choices.places.push_back({-1, at::tensor(row, at::TensorOptions(at::kDouble))});
    return choices;
}

TEST(Slot, AllMassOnOneCandidateIsThatNetwork) {
    // candidates of both places in the list of blocks: s 0, f 1, - 2, s 3, f 4, - 5
    auto supernet = made("?x2"), discrete = made("fs");
    copy_layers(*supernet, {1, 3}, *discrete);
    State alone, mixed, plain;
    for (int segment = 0; segment < 3; ++segment) {  // the memory of a candidate goes on too
        const Tensor expected = logits(*discrete, plain);
        EXPECT_TRUE(at::equal(logits(*supernet, alone, choose_slots({1, 0})), expected)) << segment;
        EXPECT_LT((logits(*supernet, mixed, weights({{0, 1, 0}, {1, 0, 0}})) - expected).abs().max().item<double>(),
                  1e-12);
    }
}

TEST(Slot, ACandidateThatDidNotRunRemembersWhatCameBy) {
    auto supernet = made("?f");
    State never, now_and_then;
    for (int64_t choice : {0, 2, 0}) logits(*supernet, now_and_then, choose_slots({choice}));
    // the layer below is the embedding: its inputs do not depend on the choice
    for (int i = 0; i < 3; ++i) logits(*supernet, never, choose_slots({0}));
    EXPECT_TRUE(
        at::equal(logits(*supernet, never, choose_slots({0})), logits(*supernet, now_and_then, choose_slots({0}))));
}

TEST(Slot, RecurrencesKeepTheirStateWhileOthersRun) {
    auto supernet = made("?{u -}");
    State state;
    logits(*supernet, state, choose_slots({0}));
    const Tensor c = state.parts[0].parts[0].get("c").clone();
    logits(*supernet, state, choose_slots({1}));
    EXPECT_TRUE(at::equal(state.parts[0].parts[0].get("c"), c));
}

TEST(Slot, EqualCandidatesGiveChoicesNoGradient) {
    const std::string more = "[blocks.a]\nkind = \"feed_forward\"\n";
    auto supernet = made("?{a f}", more);
    {
        at::NoGradGuard no_grad;  // f becomes a
        const Shell::Parts &a = *supernet->stack().blocks[0].parts, &f = *supernet->stack().blocks[1].parts;
        for (size_t i = 0; i < a.end_parameter - a.first_parameter; ++i)
            supernet->parameters()
                .working(f.first_parameter + i)
                .copy_(supernet->parameters().working(a.first_parameter + i));
    }
    SearchConfig config;
    ArchitectureSearch search(config, supernet->stack().slots);
    supernet->standing_entries().put(search.choices_draw(1, 1));
    auto out = supernet->loss(kIds, kIds, {}, supernet->pass(false));
    torch::autograd::backward({out.sum}, {});
    EXPECT_LT(search.logits()[0].grad().abs().max().item<double>(), 1e-12);
}

TEST(Slot, GradientOfAChoiceIsTheDifferenceItMakes) {
    auto supernet = made("?x2");
    auto loss = [&](double a) {
        at::NoGradGuard no_grad;
        supernet->standing_entries().put(weights({{a, 1 - a, 0}, {.2, .3, .5}}));
        return supernet->loss(kIds, kIds, {}, supernet->pass(false)).sum.item<double>();
    };
    Tensor a = at::full({}, 0.4, at::kDouble).requires_grad_(true);
    SlotChoices choices;
    choices.places.push_back({-1, at::stack({a, 1 - a, at::zeros({}, at::kDouble)})});
    choices.places.push_back(weights({{.2, .3, .5}}).places[0]);
    supernet->standing_entries().put(choices);
    torch::autograd::backward({supernet->loss(kIds, kIds, {}, supernet->pass(false)).sum}, {});
    EXPECT_NEAR(a.grad().item<double>(), (loss(0.4 + 1e-5) - loss(0.4 - 1e-5)) / 2e-5, 1e-5);
}

TEST(Slot, TiedCandidatesShareWeightsOverPlaces) {
    EXPECT_EQ(made("?x3", "tie_candidates = true\n")->parameters().count(), made("?")->parameters().count());
    EXPECT_GT(made("?x3")->parameters().count(), 2 * made("?")->parameters().count());
}

TEST(Slot, WrongUseIsTold) {
    EXPECT_ERROR(LanguageModel(parse_config("[model]\nlayout = \"s?f\"\n", "t"), 11), ErrorKind::usage, "lithe search");
    EXPECT_ERROR(made("?x2", "candidates = \"s q\"\n"), ErrorKind::usage, "unknown block 'q'");
    EXPECT_ERROR(LanguageModel(parse_config("[model]\nlayout = \"sf\"\n[search]\nsupernet = true\n", "t"), 11),
                 ErrorKind::usage, "no searched place");
}

// PAR's supernet (Mandava et al. 2021, section 3): 32 places of {s, f}, the base model's sizes; added up in
// tests/golden/make_parameters.py.
TEST(Slot, SupernetOfParHasTheCountOfItsParts) {
    Config config = load_config(LITHE_SOURCE_FOLDER "/configs/wikitext103-par-base.toml",
                                {"model.layout=\"(?{s f})x32\"", "search.supernet=true"});
    LanguageModel model(config, config.model.vocabulary_size);
    EXPECT_EQ(model.parameters().count(), 246'549'978);
}

}  // namespace
}  // namespace lithe

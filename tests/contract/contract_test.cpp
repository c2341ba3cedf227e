// What every block kind promises, run over the whole table by the kind's traits. A new kind gets these for nothing.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <algorithm>
#include <set>
#include <sstream>

#include "lithe/base/position_flags.h"
#include "lithe/base/text.h"
#include "lithe/model/stack.h"
#include "support/block_variants.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::block_variants;
using testing::BlockVariant;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t T = 12, B = 3, D = 8;

class Contract : public ::testing::TestWithParam<int> {
 protected:
    const BlockVariant& variant() const { return block_variants()[size_t(GetParam())]; }
    const BlockKind& kind() const { return *variant().kind; }
    ModelConfig model() const {
        ModelConfig model;
        model.width = D;
        model.memory = 2 * T;
        if (!kind().traits.causal) model.direction = Direction::bidirectional;
        return model;
    }
    std::unique_ptr<MadeBlock> make(at::ScalarType type = at::kDouble, std::vector<RawValue> more = {}) const {
        std::vector<RawValue> values = variant().values;
        values.insert(values.end(), more.begin(), more.end());
        auto made = std::make_unique<MadeBlock>(kind(), model(), values, type);
        at::NoGradGuard guard;
        for (size_t i = 0; i < made->store.size(); ++i) {  // wake what starts silent
            const ParameterSpec& spec = made->store.spec(i);
            const Tensor value = made->store.working(i);
            if (spec.role == Role::scalar) value.fill_(0.7);
            if (spec.role == Role::matrix && spec.init.kind == Init::Kind::constant)
                value.copy_(wave(spec.shape, 0.37 + 0.1 * double(i), 0.3, 0.5));
        }
        return made;
    }
    Pass pass() const {
        Pass c;
        c.memory = 2 * T;
        c.causal = kind().traits.causal;
        return c;
    }
    BranchOutput branch(const MadeBlock& made, const Tensor& x, const State& state, const Call& call) const {
        return testing::branch_of(kind(), *made.block, x, state, call);
    }
    static Tensor input(at::ScalarType type = at::kDouble) { return wave({T, B, D}, 0.53, 0.7, 1.3, type); }
};

TEST_P(Contract, KeepsShapeAndIsDeterministic) {
    auto made = make();
    Tensor x = input();
    auto a = branch(*made, x, {}, pass()), b = branch(*made, x, {}, pass());
    EXPECT_EQ(a.delta_TBD.sizes(), x.sizes());
    EXPECT_TRUE(at::equal(a.delta_TBD, b.delta_TBD));
    EXPECT_TRUE(at::isfinite(a.delta_TBD).all().item<bool>());
}

TEST_P(Contract, NeverLooksAhead) {
    if (!kind().traits.causal) GTEST_SKIP() << "the kind is not causal";
    auto made = make();
    Tensor x = input(), changed = x.clone();
    changed.narrow(0, T / 2, T - T / 2).add_(1.7);
    auto a = branch(*made, x, {}, pass()).delta_TBD, b = branch(*made, changed, {}, pass()).delta_TBD;
    // how many tokens stand in an expert's product decides how it is rounded
    const double rounding = std::string(kind().name) == "moe" ? 1e-13 : 0;
    testing::expect_close(a.narrow(0, 0, T / 2), b.narrow(0, 0, T / 2), rounding, "what came before");
    if (std::string(kind().name) != "identity") { EXPECT_FALSE(at::equal(a, b)); }
}

TEST_P(Contract, RowsDoNotMeet) {
    auto made = make();
    Tensor x = input(), changed = x.clone();
    changed.select(1, 1).mul_(-2);
    auto a = branch(*made, x, {}, pass()).delta_TBD, b = branch(*made, changed, {}, pass()).delta_TBD;
    expect_close(a.select(1, 0), b.select(1, 0), 1e-12, "row 0");
    expect_close(a.select(1, 2), b.select(1, 2), 1e-12, "row 2");
}

TEST_P(Contract, PositionWiseMeansPositionWise) {
    if (!kind().traits.causal) GTEST_SKIP() << "what sees all may not know an order";
    auto made = make();
    Tensor x = input(), order = at::arange(T - 1, -1, -1, at::kLong);
    auto forward = branch(*made, x, {}, pass()).delta_TBD,
         backward = branch(*made, x.index_select(0, order), {}, pass()).delta_TBD.index_select(0, order);
    EXPECT_EQ(at::allclose(forward, backward, 1e-10, 1e-10), kind().traits.position_wise);
}

// A segment split in two, and token by token, with the state carried, equals the whole; with kept projections too.
TEST_P(Contract, StreamsEqualTheWhole) {
    if (!kind().traits.streams) GTEST_SKIP() << "the kind carries no state";
    for (bool keep : {false, true})
        for (int64_t window : {int64_t(-1), int64_t(5)})
            for (int64_t piece : {T / 2, int64_t(5), int64_t(1)}) {
                auto made = make();
                Pass c = pass();
                c.keep_projections = keep;
                c.window = window;
                if (window >= 0) c.memory = window;
                Tensor x = input(), whole = branch(*made, x, {}, c).delta_TBD;
                State state;
                std::vector<Tensor> pieces;
                for (int64_t at = 0; at < T; at += piece) {
                    auto out = branch(*made, x.narrow(0, at, std::min(piece, T - at)), state, c);
                    pieces.push_back(out.delta_TBD);
                    state = std::move(out.state);
                }
                expect_close(at::cat(pieces), whole, 1e-10,
                             "pieces of " + std::to_string(piece) + (keep ? ", kept projections" : "") + ", window " +
                                 std::to_string(window));
            }
}

TEST_P(Contract, StateRowsCanBeSelectedScatteredAndSaved) {
    auto made = make();
    Tensor x = input();
    State state = branch(*made, x, {}, pass()).state;
    Tensor rows = at::tensor({2, 0}, at::kLong);
    auto all = branch(*made, x, state, pass()).delta_TBD.index_select(1, rows);
    auto some = branch(*made, x.index_select(1, rows), state.select_rows(rows), pass()).delta_TBD;
    expect_close(some, all, 1e-12, "selected rows");
    State back = state;
    back.scatter_rows(rows, state.select_rows(rows));
    auto again = branch(*made, x, unflatten(flatten(back)), pass()).delta_TBD;
    expect_close(again, branch(*made, x, state, pass()).delta_TBD, 0, "scattered back and saved");
    const BlockTraits& traits = kind().traits;
    EXPECT_EQ(state.bytes() > 0, (traits.streams && !traits.position_wise) || !traits.reads.empty());
}

// Gradients of input, initial state and every parameter against central differences in float64.
TEST_P(Contract, GradientsMatchFiniteDifferences) {
    auto made = make();
    const Tensor weight = wave({T, B, D}, 0.3, 0.4, 1.0);
    Tensor x = input().set_requires_grad(true);
    State state = branch(*made, input().mul(0.5), {}, pass()).state.detach();
    std::vector<Tensor> leaves = {x};
    for (auto& each : state.tensors)
        if (each.value.is_floating_point()) leaves.push_back(each.value.set_requires_grad(true));
    for (size_t i = 0; i < made->store.size(); ++i) leaves.push_back(made->store.working(i));
    auto loss = [&] { return (branch(*made, x, state, pass()).delta_TBD * weight).sum(); };
    torch::autograd::backward({loss()}, {});
    for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
        Tensor values = leaves[leaf].detach().flatten();
        Tensor gradient =
            leaves[leaf].grad().defined() ? leaves[leaf].grad().contiguous().flatten() : at::zeros_like(values);
        const int64_t count = values.numel(), stride = std::max<int64_t>(1, count / 7);
        for (int64_t i = leaf % 3; i < count; i += stride) {
            at::NoGradGuard guard;
            const double h = 2e-6, kept = values[i].item<double>();
            auto at_value = [&](double value) {
                values[i] = value;
                return loss().item<double>();
            };
            double slope = (at_value(kept + h) - at_value(kept - h)) / (2 * h);
            values[i] = kept;
            EXPECT_NEAR(gradient[i].item<double>(), slope, 1e-6 * (1 + std::abs(slope)))
                << "leaf " << leaf << " element " << i;
        }
    }
}

TEST_P(Contract, PaddingIsHarmlessAndInvisible) {
    auto made = make();
    Pass c = pass();
    Tensor flags_TB = at::zeros({T, B}, at::kByte);
    flags_TB.narrow(0, T - 3, 3).select(1, 0).fill_(int64_t(kPadding));  // row 0 ends early
    flags_TB.select(1, 2).fill_(int64_t(kPadding));                      // row 2 is all padding
    c.set_flags(flags_TB);
    Tensor x = input(), other = x.clone();
    other.narrow(0, T - 3, 3).select(1, 0).fill_(100);
    auto a = branch(*made, x, {}, c), b = branch(*made, other, {}, c);
    EXPECT_TRUE(at::isfinite(a.delta_TBD).all().item<bool>());
    expect_close(a.delta_TBD.narrow(0, 0, T - 3), b.delta_TBD.narrow(0, 0, T - 3), 1e-12,
                 "what stands in the padding changes nothing");
    if (!kind().traits.streams) return;  // its pattern is laid over the segment, padding and all
    Tensor next = wave({4, B, D}, 0.2, 0.1, 1.0);
    expect_close(branch(*made, next, a.state, pass()).delta_TBD.select(1, 0),
                 branch(*made, next, b.state, pass()).delta_TBD.select(1, 0), 1e-12, "nor in the next segment");
    Tensor short_row = branch(*made, x.narrow(0, 0, T - 3).narrow(1, 0, 1), {}, pass()).delta_TBD;
    expect_close(a.delta_TBD.narrow(0, 0, T - 3).narrow(1, 0, 1), short_row, 1e-12, "the row as if it were shorter");
}

TEST_P(Contract, DocumentResetStartsAnew) {
    if (!kind().traits.streams) GTEST_SKIP() << "the kind carries no state";
    auto made = make();
    Pass c = pass();
    Tensor flags_TB = at::zeros({T, B}, at::kByte);
    flags_TB.select(0, 5).fill_(int64_t(kDocumentBegins));
    c.set_flags(flags_TB);
    Tensor x = input();
    State earlier = branch(*made, input().mul(2), {}, pass()).state;
    auto out = branch(*made, x, earlier, c);
    auto fresh = branch(*made, x.narrow(0, 5, T - 5), {}, pass());
    expect_close(out.delta_TBD.narrow(0, 5, T - 5), fresh.delta_TBD, 1e-12, "after the reset");
    Tensor next = wave({4, B, D}, 0.2, 0.1, 1.0);
    expect_close(branch(*made, next, out.state, pass()).delta_TBD, branch(*made, next, fresh.state, pass()).delta_TBD,
                 1e-12, "and in the next segment");
}

TEST_P(Contract, LowerPrecisionsStayClose) {
    auto reference = make();
    Tensor expected = branch(*reference, input(), {}, pass()).delta_TBD;
    const double scale = 1 + expected.abs().max().item<double>();
    auto fp32 = make(at::kFloat);
    expect_close(branch(*fp32, input(at::kFloat), {}, pass()).delta_TBD, expected, 1e-5 * scale, "fp32");
    auto bf16 = make(at::kBFloat16);
    auto out = branch(*bf16, input(at::kBFloat16), {}, pass());
    EXPECT_EQ(out.delta_TBD.scalar_type(), at::kBFloat16);
    expect_close(out.delta_TBD, expected, 0.06 * scale, "bf16");
    if (const Tensor* c = out.state.find("c")) {
        EXPECT_EQ(c->scalar_type(), at::kFloat) << "state is fp32 whatever the storage";
    }
}

TEST_P(Contract, DropoutFollowsItsKeyOnly) {
    std::vector<RawValue> values;
    for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { kind().make_options(model())->visit(v); }))
        if (field.path.find("dropout") != std::string::npos) values.push_back({field.path, "0.4", "test"});
    if (values.empty()) GTEST_SKIP() << "the kind has no dropout of its own";
    auto made = make(at::kDouble, values);
    Pass c = pass();
    c.training = true;
    c.keys.rows = 5;
    const Place place{.occurrences = 2};
    Tensor x = input(), a = branch(*made, x, {}, Call(c, place)).delta_TBD;
    EXPECT_TRUE(at::equal(a, branch(*made, x, {}, Call(c, place)).delta_TBD));
    c.keys.rows = 6;
    EXPECT_FALSE(at::equal(a, branch(*made, x, {}, Call(c, place)).delta_TBD));
    c.training = false;
    Tensor calm = branch(*made, x, {}, Call(c, place)).delta_TBD;
    EXPECT_FALSE(at::equal(a, calm));
    c.keys.rows = 7;
    EXPECT_TRUE(at::equal(calm, branch(*made, x, {}, Call(c, place)).delta_TBD)) << "no dropout outside training";
}

// Masks go by the rows' numbers in the update, so that a batch may be cut anywhere.
TEST_P(Contract, RowsDropAlikeHoweverTheBatchIsCut) {
    ModelConfig dropping = model();
    dropping.dropout = 0.4;
    dropping.attention_dropout = 0.3;
    MadeBlock made(kind(), dropping, variant().values);
    {
        at::NoGradGuard guard;
        for (size_t i = 0; i < made.store.size(); ++i)
            if (made.store.spec(i).role == Role::scalar) made.store.working(i).fill_(0.7);
    }
    Pass c = pass();
    c.training = true;
    c.keys.rows = 5;
    c.keys.first_row = 7;
    const Place place{.occurrences = 2};
    const Tensor x = input(), whole = branch(made, x, {}, Call(c, place)).delta_TBD;
    for (int64_t row = 0; row < B; ++row) {
        Pass own = c;
        own.keys.first_row += row;
        expect_close(branch(made, x.narrow(1, row, 1), {}, Call(own, place)).delta_TBD, whole.narrow(1, row, 1), 1e-12,
                     "row " + std::to_string(row) + " alone");
    }
    c.training = false;
    const auto options = list_fields([&](FieldVisitor& v) { kind().make_options(model())->visit(v); });
    const bool drops = std::any_of(options.begin(), options.end(), [](const FieldDoc& field) {
        return field.path.find("dropout") != std::string::npos;
    });
    EXPECT_EQ(drops, !at::equal(branch(made, x, {}, Call(c, place)).delta_TBD, whole));
}

TEST_P(Contract, BidirectionalSeesBothSides) {
    if (kind().traits.position_wise || testing::looks_back_alone(variant()))
        GTEST_SKIP() << "the kind does not see both sides";
    ModelConfig both_ways = model();
    both_ways.direction = Direction::bidirectional;
    MadeBlock made(kind(), both_ways, variant().values);
    Pass c = pass();
    c.causal = false;
    Tensor x = input(), changed = x.clone();
    changed.select(0, T - 1).mul_(-2);  // not by a constant, which a norm takes off
    auto a = branch(made, x, {}, c), b = branch(made, changed, {}, c);
    EXPECT_FALSE(at::equal(a.delta_TBD.narrow(0, 0, T - 1), b.delta_TBD.narrow(0, 0, T - 1)));
    EXPECT_TRUE(a.state.empty()) << "there is no next segment";
}

INSTANTIATE_TEST_SUITE_P(AllKinds, Contract, ::testing::Range(0, int(block_variants().size())),
                         [](const auto& which) { return block_variants()[size_t(which.param)].name; });

// Both values of a switch and every one of a choice, for every kind.
TEST(BlockVariants, EveryChoiceIsTested) {
    // a stack makes it of the model's direction, which BidirectionalSeesBothSides sets
    const std::set<std::string> elsewhere = {"sru.bidirectional", "srupp.bidirectional", "projected_sru.bidirectional"};
    for (const BlockKind& kind : block_kinds()) {
        ModelConfig model;
        auto options = kind.make_options(model);
        for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { options->visit(v); })) {
            if (elsewhere.count(kind.name + ("." + field.path))) continue;
            if (std::string(kind.name) == "moe" && field.path == "activation") continue;  // its experts' own kind's
            std::vector<std::string> values;
            if (field.type == "true or false") values = {"true", "false"};
            std::istringstream choices(field.type);
            for (std::string choice; field.default_value.starts_with('"') && std::getline(choices, choice, ',');)
                values.push_back("\"" + std::string(trimmed(choice)) + "\"");
            for (const std::string& value : values) {
                const bool tested =
                    value == field.default_value ||
                    std::any_of(block_variants().begin(), block_variants().end(), [&](const BlockVariant& variant) {
                        return variant.kind == &kind && testing::has_value(variant, field.path, value);
                    });
                EXPECT_TRUE(tested) << kind.name << "." << field.path << " = " << value;
            }
        }
    }
}

TEST(Registry, NamesAndLettersAreUnique) {
    std::set<std::string> names;
    for (const BlockKind& kind : block_kinds()) {
        EXPECT_TRUE(names.insert(kind.name).second);
        if (kind.letter) { EXPECT_TRUE(names.insert(std::string(1, kind.letter)).second); }
        EXPECT_EQ(find_block_kind(kind.name), &kind);
    }
}

}  // namespace
}  // namespace lithe

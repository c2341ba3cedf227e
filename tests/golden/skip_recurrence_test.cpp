// Skip RNN around element-wise recurrences. The numbers are those of make_skip_recurrence.py, which writes the formula
// down once more.
#include "lithe/ops/skip_recurrence.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using kernels::Cell;
using testing::cosine;
using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t kSteps = 16, kColumns = 4;

// The input that the letter stands for, [16][1][4].
Tensor input(char letter, at::ScalarType type) {
    const Tensor i = at::arange(kSteps, at::kDouble).view({kSteps, 1, 1}), j = at::arange(kColumns, at::kDouble);
    const Tensor value = letter == 'Q'   ? (.7 * i + 1.3 * j + .1).sin()
                         : letter == 'K' ? (.5 * i - .9 * j + .2).cos()
                         : letter == 'V' ? (1.1 * i - .6 * j + .3).sin()
                                         : (.9 * i + .4 * j + .6).sin();
    return value.to(type).set_requires_grad(true);
}

struct Golden {
    Cell cell;
    std::string letters;  // of the planes
    std::vector<double> w;
    double b, cost;
    std::vector<double> updates;
    std::vector<double> numbers;  // three outputs, sums of outputs, of their size, of the last c, of each gradient
};

void expect_sum(const Tensor& terms, double expected, const std::string& what) {
    const Tensor all = terms.detach().to(at::kDouble);
    const double tolerance = terms.scalar_type() == at::kDouble ? 1e-9 : 2e-5 * (1e-3 + all.abs().sum().item<double>());
    EXPECT_NEAR(all.sum().item<double>(), expected, tolerance) << what;
}

void check(const Golden& golden, at::ScalarType type) {
    const kernels::CellTraits traits = kernels::traits_of(golden.cell);
    SCOPED_TRACE(std::string(traits.name) + (type == at::kDouble ? " fp64" : " fp32"));
    std::vector<Tensor> inputs;
    for (const char letter : golden.letters) inputs.push_back(input(letter, type));
    ops::SkipRecurrenceInput in{.cell = {.cell = golden.cell, .u = at::cat(inputs, -1)}};
    if (traits.weights > 0) in.cell.weights[0] = at::zeros({traits.weights, kColumns}, type);
    in.w_D = at::tensor(golden.w, type).set_requires_grad(true);
    in.b_1 = at::full({1}, golden.b, type).set_requires_grad(true);
    const auto out = ops::skip_recurrence(in);
    const Tensor loss =
        (out.h_TBD * cosine(out.h_TBD.sizes(), 0.3).to(type)).sum() + golden.cost * out.updates_TB.sum();
    torch::autograd::backward({loss}, {});
    testing::expect_values(out.updates_TB, golden.updates, 0, "updates");
    const auto& n = golden.numbers;
    expect_sum(out.h_TBD[0][0][0], n[0], "out[0, 0]");
    expect_sum(out.h_TBD[7][0][2], n[1], "out[7, 2]");
    expect_sum(out.h_TBD[15][0][3], n[2], "out[15, 3]");
    expect_sum(out.h_TBD, n[3], "sum of the outputs");
    expect_sum(out.h_TBD.abs(), n[4], "sum of their sizes");
    expect_sum(out.c_BD, n[5], "last state");
    inputs.push_back(in.w_D);
    inputs.push_back(in.b_1);
    for (size_t i = 0; i < inputs.size(); ++i) expect_sum(inputs[i].grad(), n[6 + i], "gradient " + std::to_string(i));
}

const Golden kGolden[] = {
    {Cell::lrn,
     "KQV",
     {.325, .325, .325, .325},
     -.4,
     0,
     {1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0},
     {0.2116318301, -0.3677828275, 0.2212659861, -0.9392731709, 15.7818198478, 1.1272120030, -0.5293181433,
      0.4717114178, -1.5689661818, 1.0501283132, -1.4850188783}},
    {Cell::lrn,
     "KQV",
     {.9, -1.1, .7, -.3},
     -.6,
     .37,
     {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0},
     {0.2116318301, -0.3737229674, 0.2180871558, -1.2146140916, 15.5713545193, 1.1253901168, -1.0131944552,
      0.6910954091, -0.4115949816, -0.1876235774, -0.9754585166}},
    {Cell::min_lstm,
     "VFK",
     {-.4, .5, -.7, .3},
     -1.1,
     .37,
     {1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1},
     {0.4238748856, 0.6325466842, 0.9534244940, 38.8790331684, 38.8790331684, 2.8451353403, 1.4805432037, -0.4138016231,
      0.3457276217, 1.8654702445, 0.7149213295}},
    {Cell::qrnn_fo,
     "VFK",
     {1.9, 1.4, -1.2, .8},
     -.9,
     .37,
     {1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0},
     {0.0756971929, -0.1153359629, 0.2607968063, -0.8416147953, 9.7819578056, 0.4766781656, -0.0719129023, 1.0671344655,
      -0.1892583685, -1.5163106605, -0.5360363741}},
};

TEST(GoldenSkipRecurrence, Cells) {
    for (const Golden& golden : kGolden)
        for (const auto type : {at::kDouble, at::kFloat}) check(golden, type);
}

ops::SkipRecurrenceInput input_of(Cell cell, double b, bool flagged) {
    const kernels::CellTraits traits = kernels::traits_of(cell);
    const int64_t steps = 9, batch = 3, width = 5;
    ops::SkipRecurrenceInput in{.cell = {.cell = cell, .u = wave({steps, batch, traits.planes * width}, .37, .1, 1.5)}};
    if (traits.reads_x) in.cell.x_TBD = wave({steps, batch, width}, .41, .3, 1.0);
    if (traits.weights > 0) in.cell.weights[0] = wave({traits.weights, width}, .53, .7, .8);
    if (cell == Cell::rg_lru) in.cell.weights[0] = wave({3, width}, .002, -1.3, .9);  // below 0
    in.w_D = wave({width}, .7, .2, .9);
    in.b_1 = at::full({1}, b, at::kDouble);
    if (!flagged) return in;
    in.cell.flags_TB = at::zeros({steps, batch}, at::kByte);
    in.cell.flags_TB[4][1] = int64_t(kDocumentBegins);
    in.cell.flags_TB[6][0] = int64_t(kPadding);
    return in;
}

TEST(SkipRecurrence, AnOpenGateLeavesEveryCellAsItIs) {
    for (int number = 0; number < kernels::kCells; ++number)
        for (const bool flagged : {false, true}) {
            const auto in = input_of(Cell(number), 40, flagged);
            const auto skipping = ops::skip_recurrence(in);
            const auto plain = ops::recurrence(in.cell);
            const std::string name = kernels::traits_of(Cell(number)).name;
            expect_close(skipping.h_TBD, plain.h_TBD, 1e-14, name);
            expect_close(skipping.c_BD, plain.c_BD, 1e-14, name + " state");
            EXPECT_EQ(skipping.updates_TB.sum().item<double>(), flagged ? 26 : 27) << name;
        }
}

// A half is rounded to 0, as the source's programs do: sums of 0.5 update at every second step.
TEST(SkipRecurrence, AConstantProbabilityUpdatesAtEvenDistances) {
    const auto updates = [](double probability) {
        auto in = input_of(Cell::lrn, std::log(probability / (1 - probability)), false);
        in.w_D.zero_();
        return ops::skip_recurrence(in).updates_TB.select(1, 0);
    };
    testing::expect_values(updates(.3), {1, 0, 1, 0, 1, 0, 1, 0, 1}, 0, "0.3");
    testing::expect_values(updates(.5), {1, 0, 1, 0, 1, 0, 1, 0, 1}, 0, "0.5");
    testing::expect_values(updates(.2), {1, 0, 0, 1, 0, 0, 1, 0, 0}, 0, "0.2");
    testing::expect_values(updates(.6), {1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, "0.6");
}

// In pieces, with everything carried; documents begin and rows pause inside of them.
TEST(SkipRecurrence, PiecesAreTheWhole) {
    for (const Cell cell : {Cell::lrn, Cell::qrnn_fo, Cell::sru, Cell::ssru}) {
        const auto in = input_of(cell, -.7, true);
        const auto whole = ops::skip_recurrence(in);
        const double share = whole.updates_TB.mean().item<double>();
        EXPECT_GT(share, 0.2);
        EXPECT_LT(share, 0.8);
        for (const int64_t piece : {1, 2, 4}) {
            ops::SkipRecurrenceInput part = in;
            std::vector<Tensor> h, updates;
            for (int64_t at = 0; at < 9; at += piece) {
                const auto cut = [&](const Tensor& all) {
                    return all.defined() ? all.narrow(0, at, std::min(piece, 9 - at)) : all;
                };
                part.cell.u = cut(in.cell.u);
                part.cell.x_TBD = cut(in.cell.x_TBD);
                part.cell.flags_TB = cut(in.cell.flags_TB);
                const auto out = ops::skip_recurrence(part);
                h.push_back(out.h_TBD);
                updates.push_back(out.updates_TB);
                part.cell.c0_BD = out.c_BD;
                part.h0_BD = out.h_BD;
                part.p0_B = out.p_B;
                part.m0_B = out.m_B;
            }
            const std::string name = kernels::traits_of(cell).name + (" by " + std::to_string(piece));
            expect_close(at::cat(h), whole.h_TBD, 1e-13, name);
            expect_close(at::cat(updates), whole.updates_TB, 0, name + ", updates");
        }
    }
}

TEST(SkipRecurrence, ChecksShapes) {
    const auto broken = [&](auto change, const char* words) {
        auto in = input_of(Cell::lrn, 0, true);
        change(in);
        EXPECT_ERROR(ops::skip_recurrence(in), ErrorKind::failed, words);
    };
    broken([](auto& in) { in.w_D = in.w_D.narrow(0, 0, 3); }, "does not fit w [3]");
    broken([](auto& in) { in.b_1 = at::zeros({2}, at::kDouble); }, "b [1]");
    broken([](auto& in) { in.cell.flags_TB = at::zeros({2, 2}, at::kByte); }, "flags");
}

// The share of positions that are no padding, as a metric and, times the cost, as a loss; in training alone.
TEST(UpdateGate, CountsUpdatesOfRealPositions) {
    ModelConfig model;
    model.width = 4;
    const MadeBlock made(*find_block_kind("lrn"), model,
                         {{"skip_updates", "true", "test"}, {"update_cost", "0.5", "test"}});
    const Tensor x = wave({6, 2, 4}, .53, .7, 1.3);
    Pass pass;
    Tensor flags = at::zeros({6, 2}, at::kByte);
    flags.narrow(0, 4, 2).select(1, 0).fill_(int64_t(kPadding));
    pass.set_flags(flags);
    pass.training = true;
    made.parameter("update_b").data().fill_(40);  // every position updates
    const auto always = made.block->branch(x, {}, pass);
    ASSERT_EQ(always.aux.losses.size(), 1);
    EXPECT_NEAR(always.aux.losses[0].second.item<double>(), 0.5, 1e-12);
    ASSERT_EQ(always.aux.metrics.size(), 1);
    EXPECT_EQ(always.aux.metrics[0].first, "b.updates");
    EXPECT_NEAR(always.aux.metrics[0].second.item<double>(), 1, 1e-12);
    made.parameter("update_b").data().fill_(-40);  // the first of each row alone
    const auto seldom = made.block->branch(x, {}, pass);
    EXPECT_NEAR(seldom.aux.metrics[0].second.item<double>(), 2.0 / 10, 1e-12);
    EXPECT_TRUE(seldom.aux.losses[0].second.requires_grad());
    pass.training = false;
    const auto judged = made.block->branch(x, {}, pass);
    EXPECT_TRUE(judged.aux.losses.empty() && judged.aux.metrics.empty());
    expect_close(judged.delta_TBD, seldom.delta_TBD, 0, "the same outputs");
}

TEST(UpdateGate, SaysWhatDoesNotFit) {
    ModelConfig model;
    model.width = 4;
    EXPECT_ERROR(MadeBlock(*find_block_kind("min_gru"), model, {{"update_cost", "0.1", "test"}}), ErrorKind::usage,
                 "without skip_updates every position updates");
    model.direction = Direction::bidirectional;
    EXPECT_ERROR(MadeBlock(*find_block_kind("sru"), model, {{"skip_updates", "true", "test"}}), ErrorKind::usage,
                 "in one direction");
}

}  // namespace
}  // namespace lithe

// Kinds of attention of low rank against their formulas; tests/golden/make_low_rank_attention.py prints the numbers.
#include <gtest/gtest.h>

#include "lithe/base/position_flags.h"
#include "support/golden_head.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_numbers;
using testing::GoldenHead;
using testing::MadeBlock;
using testing::Numbers;

constexpr int64_t N = GoldenHead::kSteps, kSize = GoldenHead::kSize;

constexpr Numbers kLinformer = {.0270983743, -.0285325770, -.0438796320, -.7080823594, 1.6117617797};

// E and F of the golden line, [16][4].
std::pair<Tensor, Tensor> projections() {
    const Tensor i = at::arange(N, at::kDouble).unsqueeze(1), r = at::arange(4, at::kDouble).unsqueeze(0);
    return {at::cos(0.2 * i * (r + 1)) / 16, at::sin(0.3 * i + 0.5 * r) / 16};
}

TEST(LowRankAttention, LinformerIsTheFormula) {
    const auto [keys, values] = projections();
    for (const auto type : {at::kDouble, at::kFloat}) {
        const GoldenHead each("linformer", {{"length", "16"}, {"rank", "4"}}, false, 0, type);
        each.made->set("key_positions", keys);
        each.made->set("value_positions", values);
        expect_numbers(each.run(), kLinformer, type);
    }
    const GoldenHead one("linformer", {{"length", "16"}, {"rank", "4"}, {"sharing", "\"key_value\""}}, false);
    one.made->set("positions", keys);
    expect_numbers(one.run(), {.0764794740, .0330999372, -.0122406369, 2.5451661429, 3.0416177551});
    // every head its own: this is the second
    const GoldenHead own("linformer", {{"length", "20"}, {"rank", "4"}, {"sharing", "\"none\""}}, false, 1);
    const auto of_second = [](const Tensor& matrix) {
        const Tensor all = at::full({GoldenHead::kHeads, 20, 4}, 0.3, at::kDouble);
        all.select(0, 1).narrow(0, 0, N).copy_(matrix);  // a shorter segment takes the first rows
        return all;
    };
    own.made->set("key_positions", of_second(keys));
    own.made->set("value_positions", of_second(values));
    expect_numbers(own.run(), kLinformer);
}

TEST(LowRankAttention, LinformersLimits) {
    // as many rows as positions, which stay what they are: full attention
    const GoldenHead whole("linformer", {{"length", "16"}, {"rank", "16"}, {"sharing", "\"key_value\""}}, false);
    whole.made->set("positions", at::eye(N, at::kDouble));
    expect_close(whole.run(), GoldenHead("attention", {}, false).run(), 1e-12, "full attention");
    // values of one: the weights of rows times what F adds up to
    const auto [keys, values] = projections();
    const GoldenHead ones("linformer", {{"length", "16"}, {"rank", "4"}}, false);
    ones.made->set("key_positions", keys);
    ones.made->set("value_positions", values);
    Tensor x = GoldenHead::input();
    x.narrow(2, 2 * kSize, kSize).fill_(1);
    const Tensor q = x.squeeze(1).narrow(1, 0, kSize), k = x.squeeze(1).narrow(1, kSize, kSize);
    const Tensor weights = at::softmax(at::mm(q, at::mm(keys.t(), k).t()) / 2, 1);
    expect_close(ones.run(x), at::mm(weights, values.sum(0).unsqueeze(1)).expand({N, kSize}), 1e-12, "sums of F");
    // the cost: rows times positions, and as much again to make the rows
    EXPECT_NEAR(GoldenHead("linformer", {{"length", "4096"}, {"rank", "256"}}, false).pairs(4096), 2 * 1'048'576, 1e-3);
}

// One matrix serves every layer; without it each has two of its own.
TEST(LowRankAttention, LinformersLayersShareAMatrix) {
    ModelConfig model;
    model.width = 8;
    model.direction = Direction::bidirectional;
    const BlockKind& kind = *find_block_kind("linformer");
    const auto count = [&](const char* sharing) {
        ParameterStore store;
        auto options = kind.make_options(model);
        Problems problems;
        read_options(
            {{"sharing", sharing, "test"}}, [&](FieldVisitor& v) { options->visit(v); }, "linformer", problems);
        for (const char* name : {"encoder.layers.0.linformer", "encoder.layers.1.linformer"})
            kind.make(*options, BlockSite{store, name, model});
        int64_t numbers = 0;
        for (size_t i = 0; i < store.size(); ++i)
            if (store.spec(i).name.ends_with("positions")) numbers += store.spec(i).count();
        return numbers / (512 * 128);
    };
    EXPECT_EQ(count("\"layerwise\""), 1);
    EXPECT_EQ(count("\"key_value\""), 2);
    EXPECT_EQ(count("\"headwise\""), 4);
}

// What stands in the padding is zero before it is projected, whatever the bias.
TEST(LowRankAttention, LinformerProjectsNoPadding) {
    const GoldenHead each("linformer", {{"length", "16"}, {"rank", "4"}, {"bias", "true"}}, false);
    each.made->set("qkv_bias", testing::wave({3 * GoldenHead::kWidth}, 0.4, 0.2, 1.0));
    Tensor flags_TB = at::zeros({N, 1}, at::kByte);
    flags_TB.narrow(0, 10, N - 10).fill_(int64_t(kPadding));
    Pass padded = GoldenHead::pass(false);
    padded.set_flags(flags_TB);
    const Tensor x = GoldenHead::input();
    const Tensor with = each.made->block->branch(x, {}, padded).delta_TBD.narrow(0, 0, 10);
    const Tensor without = each.made->block->branch(x.narrow(0, 0, 10), {}, GoldenHead::pass(false)).delta_TBD;
    expect_close(with, without, 1e-12, "a shorter segment");
}

GoldenHead nystrom(const char* landmarks, const char* iterations, at::ScalarType type = at::kDouble) {
    return {"nystrom", {{"landmarks", landmarks}, {"iterations", iterations}, {"taps", "0"}}, false, 0, type};
}

TEST(LowRankAttention, NystromIsTheFormula) {
    struct Case {
        const char *landmarks, *iterations;
        Numbers expected;
    };
    const Case cases[] = {
        {"2", "20", {.0700009176, .0547291827, .1118279903, 3.2308035256, 4.6158372274}},  // as good as inverses
        {"4", "20", {.1586559728, .1124317106, -.0421696206, 2.6297665572, 5.1763309264}},
        {"8", "24", {.1490201802, .0192275180, -.0389390695, 1.8346950923, 4.3573938315}},
        {"2", "6", {.0603923214, .0535141149, .0335744787, 3.2378287524, 3.2378287524}},
        {"4", "6", {.1604363636, .0545298876, .0433133946, 2.6781722622, 3.6850820090}},
        {"8", "6", {.1511694000, .0091670132, -.0360007106, 1.8108019605, 4.2685686354}},
        {"16", "6", {.1527232230, .0098040800, -.0368116893, 1.8104547386, 4.2853806145}},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.landmarks + std::string(" landmarks, iterations ") + each.iterations);
        expect_numbers(nystrom(each.landmarks, each.iterations).run(), each.expected);
        if (std::string(each.iterations) == "6")
            expect_numbers(nystrom(each.landmarks, "6", at::kFloat).run(), each.expected, at::kFloat);
    }
    // four pieces of four tokens: asked for five, which do not divide the segment
    const GoldenHead uneven("nystrom", {{"landmarks", "5"}, {"taps", "5"}}, false, 1);
    uneven.made->set("convolution", (at::cos(0.8 * at::arange(5, at::kDouble)) * 0.3).repeat({GoldenHead::kHeads, 1}));
    expect_numbers(uneven.run(), {-.2393871669, -.7074143088, .3102311582, 1.6936151050, 32.3207697202});
}

TEST(LowRankAttention, NystromsLimits) {
    const Tensor full = GoldenHead("attention", {}, false).run();
    expect_close(nystrom("16", "40").run(), full, 1e-6, "a landmark for each token");
    // queries and keys that are the same within a piece
    Tensor steps = GoldenHead::input();
    steps.copy_(at::cat({steps.narrow(2, 0, 2 * kSize).unflatten(0, {4, 4}).mean(1).repeat_interleave(4, 0),
                         steps.narrow(2, 2 * kSize, kSize)},
                        2));
    expect_close(nystrom("4", "20").run(steps), GoldenHead("attention", {}, false).run(steps), 1e-12, "steps");
    Tensor ones = GoldenHead::input();
    ones.narrow(2, 2 * kSize, kSize).fill_(1);
    expect_close(nystrom("4", "20").run(ones), at::ones({N, kSize}, at::kDouble), 1e-12, "weights' sums");
    // 2 n m + m^2 scores, and the products of the inverse
    const double inverse = 6 * 4 * 64.0 * 64 * 64 / (2 * kSize);
    EXPECT_NEAR(GoldenHead("nystrom", {}, false).pairs(4096), 528'384 + inverse, 1e-3);
}

// A piece that is all padding is no landmark, and padding is in no mean.
TEST(LowRankAttention, NystromSeesNoPadding) {
    const auto make = [](const char* landmarks) {
        return GoldenHead("nystrom", {{"landmarks", landmarks}, {"taps", "5"}, {"bias", "true"}}, false);
    };
    const GoldenHead longer = make("4"), shorter = make("2");
    for (const GoldenHead* each : {&longer, &shorter})
        each->made->set("qkv_bias", testing::wave({3 * GoldenHead::kWidth}, 0.4, 0.2, 1.0));
    Tensor flags_TB = at::zeros({N, 1}, at::kByte);
    flags_TB.narrow(0, 7, N - 7).fill_(int64_t(kPadding));
    Pass padded = GoldenHead::pass(false);
    padded.set_flags(flags_TB);
    const Tensor with = longer.made->block->branch(GoldenHead::input(), {}, padded).delta_TBD.narrow(0, 0, 7);
    const Tensor x = GoldenHead::input().narrow(0, 0, 7);
    const Tensor without = shorter.made->block->branch(x, {}, GoldenHead::pass(false)).delta_TBD;
    expect_close(with, without, 1e-12, "a shorter segment");
}

TEST(LowRankAttention, OptionsThatCannotWorkAreToldInASentence) {
    EXPECT_ERROR(GoldenHead("linformer", {{"length", "8"}, {"rank", "9"}}, false), ErrorKind::usage,
                 "rank 9 is more than the 8 positions of length");
    EXPECT_ERROR(GoldenHead("linformer", {{"heads", "5"}}, false), ErrorKind::usage, "is no multiple of heads 5");
    EXPECT_ERROR(GoldenHead("linformer", {{"length", "15"}, {"rank", "4"}}, false).run(), ErrorKind::usage,
                 "segments of at most 15 positions, and this one has 16");
    EXPECT_ERROR(GoldenHead("nystrom", {{"taps", "4"}}, false), ErrorKind::usage, "taps 4 have no middle");
    Pass training = GoldenHead::pass(false);
    training.training = true;
    const auto train = [&](const char* landmarks) {
        nystrom(landmarks, "6").made->block->branch(GoldenHead::input(), {}, training);
    };
    EXPECT_ERROR(train("17"), ErrorKind::usage, "17 landmarks are more than the 16 tokens of a segment");
    EXPECT_NO_THROW(train("16"));
}

}  // namespace
}  // namespace lithe

// Kinds of attention that see a pattern of keys, as one masked softmax; tests/golden/make_attention_patterns.py prints
// the numbers.
#include <gtest/gtest.h>

#include <numeric>

#include "lithe/blocks/bigbird.h"
#include "lithe/blocks/sparse.h"
#include "lithe/kernels/attention/attention.h"
#include "support/block_maker.h"
#include "support/errors.h"
#include "support/golden_head.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_numbers;
using testing::GoldenHead;
using testing::MadeBlock;
using testing::Numbers;
using testing::pairs_of;

constexpr int64_t N = GoldenHead::kSteps, kSize = GoldenHead::kSize, kWidth = GoldenHead::kWidth;
constexpr int64_t kHeads = GoldenHead::kHeads;

using Options = GoldenHead::Options;

Tensor input() { return GoldenHead::input(); }

// A block whose head number `head` takes them from there, and whose other heads have nothing.
std::unique_ptr<MadeBlock> make(const char* kind, const Options& options, bool causal, int64_t head = 0,
                                const char* name = "b") {
    return GoldenHead(kind, options, causal, head, at::kDouble, name).made;
}

Pass pass_of(bool causal) { return GoldenHead::pass(causal); }

struct Case {
    const char *name, *kind;
    Options options;
    bool causal;
    Numbers expected;
    double pairs;  // 0: keys are counted otherwise
    int64_t head = 0;
    const char* place = "b";
};

TEST(AttentionPatterns, AreTheMaskedSoftmax) {
    const Options strided = {{"stride", "4"}}, fixed = {{"pattern", "\"fixed\""}, {"stride", "4"}, {"summary", "1"}};
    const Options near = {{"window", "2"}, {"global_tokens", "0"}};
    const Options apart = {{"window", "2"}, {"global_tokens", "0"}, {"dilation", "2"}};
    const Options cascade = {{"window", "2"}};
    const Case cases[] = {
        {"G3a", "longformer", near, false, {.6337863731, -.2584746294, .6659996002, -1.1992902560, 13.9682766348}, 74},
        {"G4", "longformer", apart, false, {.1573450388, -.1027586290, .2649194720, .4862382991, 9.8877411079}, 68},
        {"G6a", "sparse", strided, true, {.2955202067, -.2481705343, .3186229561, -5.9139457888, 17.9367521170}, 82},
        {"G6b", "sparse", fixed, true, {.2955202067, -.2481705343, .3186229561, -.7454056425, 23.8707569431}, 64},
        {"G6b, second head",
         "sparse",
         fixed,
         true,
         {.2955202067, -.2750316647, -.1805050111, -3.0823562537, 20.5164224005},
         64,
         1},
        {"G7a", "cascade", cascade, true, {.2955202067, -.1307774906, .7666495605, .5569855161, 34.9038359718}, 31},
        {"G7b",
         "cascade",
         cascade,
         true,
         {.2955202067, -.4542334181, .4777423645, -7.2409915915, 20.7461348367},
         58,
         0,
         "decoder.layers.1.cascade"},
        {"G7c",
         "cascade",
         cascade,
         true,
         {.2955202067, -.1264468747, .4952505372, -2.1699043517, 16.5686371406},
         100,
         0,
         "decoder.layers.2.cascade"},
        {"G8a",
         "blockbert",
         {{"blocks", "4"}, {"shifted", "0"}},
         false,
         {.4321473498, -.4542334181, .4777423645, -1.8553085662, 18.3092959038},
         64},
        {"G8b",
         "blockbert",
         {{"blocks", "4"}, {"shifted", "1"}},
         false,
         {-.2034772302, .2279829129, .4596201038, 7.9909123338, 17.8828264609},
         64},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        const auto made = make(each.kind, each.options, each.causal, each.head, each.place);
        const Tensor out = made->block->branch(input(), {}, pass_of(each.causal)).delta_TBD.squeeze(1);
        expect_numbers(out.narrow(1, each.head * kSize, kSize), each.expected);
        EXPECT_NEAR(pairs_of(*made, N, each.causal), each.pairs, 1e-6);
        Tensor ones = input();
        ones.narrow(2, 2 * kSize, kSize).fill_(1);
        const Tensor sums = made->block->branch(ones, {}, pass_of(each.causal)).delta_TBD.squeeze(1);
        expect_close(sums.narrow(1, each.head * kSize, kSize), at::ones({N, kSize}, at::kDouble), 1e-12,
                     "weights' sums");
    }
}

// Windows 2, 4 and 8 over one another: the last position sees 1 + 1 + 3 + 7 of them.
TEST(AttentionPatterns, CascadeSeesAsFarAsItsWindowsSay) {
    ModelConfig model;
    model.width = kWidth;
    const auto run = [&](int64_t moved) {
        Tensor x = input();
        x.select(0, moved).add_(0.5);
        for (const char* name : {"decoder.layers.0.c", "decoder.layers.1.c", "decoder.layers.2.c"})
            x = MadeBlock(*find_block_kind("cascade"), model, {{"window", "2", "test"}}, at::kDouble, 1, at::kCPU, name)
                    .block->branch(x, {}, pass_of(true))
                    .delta_TBD;
        return x.select(0, N - 1);
    };
    const Tensor last = run(N - 1 - 12);
    EXPECT_TRUE(at::equal(last, run(N - 1 - 13)));
    EXPECT_FALSE(at::equal(last, run(N - 1 - 11)));
}

// G5, whose global token has the projections of all, and the same with others: what it sees is turned in time.
TEST(AttentionPatterns, LongformersGlobalTokensHaveProjectionsOfTheirOwn) {
    const Numbers shared = {.1524156260, -.2906977279, .4293609292, -5.1472714661, 13.9177167137};
    const auto made = make("longformer", {{"window", "2"}, {"global_tokens", "1"}}, false);
    const Tensor weights = made->parameter("qkv").detach().clone();
    made->set("global_query", weights.narrow(0, 0, kWidth));
    made->set("global_key_value", weights.narrow(0, kWidth, 2 * kWidth));
    const auto run = [&](const Tensor& x) {
        return made->block->branch(x, {}, pass_of(false)).delta_TBD.squeeze(1).narrow(1, 0, kSize);
    };
    expect_numbers(run(input()), shared);
    // the same positions backwards, behind their own projections
    const Tensor both = at::cat({input(), input().flip(0)}, 2);
    ModelConfig model;
    model.width = 2 * kWidth;
    model.direction = Direction::bidirectional;
    MadeBlock wide(*find_block_kind("longformer"), model, {{"heads", "6", "test"}, {"window", "2", "test"}});
    Tensor own = at::zeros({6 * kWidth, 2 * kWidth}, at::kDouble), turned = at::zeros_like(own);
    for (int64_t part = 0; part < 3; ++part)
        for (int64_t n = 0; n < kSize; ++n) {
            own[part * 2 * kWidth + n][part * kSize + n] = 1;
            turned[part * 2 * kWidth + n][kWidth + part * kSize + n] = 1;
        }
    wide.set("qkv", own);
    wide.set("out", at::eye(2 * kWidth, at::kDouble));
    wide.set("global_query", turned.narrow(0, 0, 2 * kWidth));
    wide.set("global_key_value", turned.narrow(0, 2 * kWidth, 4 * kWidth));
    expect_numbers(wide.block->branch(both, {}, pass_of(false)).delta_TBD.squeeze(1).narrow(1, 0, kSize),
                   {-.0151611414, -.2906977279, .4293609292, -5.7616336971, 13.5700122741});
}

// G10, with the table of random blocks of its source.
TEST(AttentionPatterns, BigBirdIsTheMaskedSoftmax) {
    const BlockRows rows = bigbird_rows(
        8, [](int64_t row, const std::vector<int64_t>&) { return std::vector<int64_t>{row < 4 ? row + 3 : row - 3}; });
    ops::AttentionInput in{.kv_TBX = input(), .mask = {.causal = false, .spans = block_spans(N, 2, {rows})}};
    EXPECT_EQ(kernels::attention_pairs(ops::mask_args(in.mask, {1, 1, N, N})), 200);
    expect_numbers(ops::attention(in).squeeze(1), {.1524156260, -.1144635164, -.0373952217, .6031615337, 8.1618116119});
}

// A head's draws are its own, once for all calls; every row has as many blocks as the paper says.
TEST(AttentionPatterns, BigBirdDrawsOnce) {
    const auto run = [](const char* seed) {
        const auto made = make("bigbird", {{"block", "2"}, {"random", "1"}, {"seed", seed}}, false);
        return made->block->branch(input(), {}, pass_of(false)).delta_TBD;
    };
    expect_close(run("0"), run("0"), 0, "the same seed");
    EXPECT_FALSE(at::allclose(run("0"), run("1")));
    const auto paper = make("bigbird", {}, false);
    EXPECT_NEAR(pairs_of(*paper, 4096, false), 2'547'712, 1);
}

// Patterns that leave nothing out are full attention.
TEST(AttentionPatterns, ExactLimits) {
    const auto run = [](const char* kind, const Options& options, bool causal) {
        return make(kind, options, causal)->block->branch(input(), {}, pass_of(causal)).delta_TBD;
    };
    const Tensor causal = run("attention", {}, true), full = run("attention", {}, false);
    for (const char* stride : {"1", "16", "40"})
        expect_close(run("sparse", {{"stride", stride}}, true), causal, 1e-12, std::string("strided, ") + stride);
    expect_close(run("sparse", {{"pattern", "\"fixed\""}, {"stride", "4"}, {"summary", "4"}}, true), causal, 1e-12,
                 "c = l");
    expect_close(run("sparse", {{"pattern", "\"fixed\""}, {"stride", "16"}}, true), causal, 1e-12, "l = n");
    expect_close(run("cascade", {{"window", "16"}}, true), causal, 1e-12, "a wide window");
    expect_close(run("longformer", {{"window", "15"}, {"global_tokens", "0"}}, false), full, 1e-12, "w = n - 1");
    expect_close(run("longformer", {{"window", "15"}}, true), causal, 1e-12, "w = n - 1, causal");
    expect_close(run("bigbird", {{"block", "4"}, {"random", "0"}}, false), full, 1e-12, "four blocks");
    expect_close(run("blockbert", {{"blocks", "1"}, {"shifted", "0"}}, false), full, 1e-12, "one block");
}

// Two layers of the strided pattern reach everything, as do the fixed pattern's two parts after one another.
TEST(AttentionPatterns, TwoLayersReachEverything) {
    for (const Options& options :
         {Options{{"stride", "4"}}, Options{{"pattern", "\"fixed\""}, {"stride", "4"}, {"summary", "1"}}}) {
        const auto made = make("sparse", options, true);
        for (int64_t moved = 0; moved < N; ++moved) {
            const auto run = [&](double by) {
                Tensor x = input();
                x.select(0, moved).add_(by);
                const Tensor once = made->block->branch(x, {}, pass_of(true)).delta_TBD;
                const Tensor again = at::cat({x.narrow(2, 0, 2 * kSize), once.narrow(2, 0, kSize)}, 2);
                return made->block->branch(again, {}, pass_of(true)).delta_TBD.squeeze(1).narrow(1, 0, kSize);
            };
            const Tensor change = (run(0) - run(0.5)).abs().sum(1);
            EXPECT_EQ(change.ne(0).sum().item<int64_t>(), N - moved) << "from " << moved;
        }
    }
}

// Scores that the kernel makes, hidden ones too.
int64_t computed(const ops::AttentionMask& mask, int64_t queries, int64_t batch = 1) {
    constexpr int64_t kHead = 8;
    std::vector<float> q(size_t(queries * batch * kHead), 0.1f), out(q.size());
    std::vector<int64_t> counts(static_cast<size_t>(batch));
    const kernels::AttentionRows<const float> rows{q.data(), batch * kHead, kHead, kHead};
    kernels::AttentionForward<float> args;
    args.mask = ops::mask_args(mask, {batch, 1, queries, queries});
    args.size = kHead;
    args.q = args.k = args.v = rows;
    args.computed = counts.data();
    args.out = {out.data(), batch * kHead, kHead, kHead};
    kernels::attention_forward(args);
    return std::accumulate(counts.begin(), counts.end(), int64_t(0));
}

TEST(AttentionPatterns, AtMostTwiceTheScoresThatAreSeen) {
    constexpr int64_t n = 4096, l = 64;
    EXPECT_LE(computed({.causal = true, .window = 256, .ahead = 256, .spans = ops::window_spans(n, n, 256, 256)}, n),
              2 * 2'035'456);
    EXPECT_LE(computed({.window = l - 1, .spans = ops::window_spans(n, n, l - 1, 0)}, n) +
                  computed({.ahead = -1, .spans = ops::window_spans(n / l, n / l, n, -1)}, n / l, l),
              2 * 389'152);
    SparseValues fixed;
    fixed.pattern = SparsePattern::fixed;
    const ops::AttentionInput in{.kv_TBX = at::empty({n, 1, 3})};
    EXPECT_LE(computed({.spans = fixed_spans(fixed, in, {})}, n), 2 * 772'096);
    const BlockRows rows = bigbird_rows(n / 64, [](int64_t, std::vector<int64_t> candidates) {
        candidates.resize(3);
        return candidates;
    });
    EXPECT_LE(computed({.causal = false, .spans = block_spans(n, 64, {rows})}, n), 2 * 2'547'712);
    // the declared cost counts what is seen
    EXPECT_NEAR(pairs_of(*make("sparse", {{"stride", "64"}}, true), n, true), 389152, 1);
    EXPECT_NEAR(pairs_of(*make("sparse", {{"pattern", "\"fixed\""}}, true), n, true), 772096, 1);
}

TEST(AttentionPatterns, OptionsThatContradictAreToldInASentence) {
    const auto expect = [](const char* kind, const Options& options, bool causal, const std::string& words) {
        EXPECT_ERROR(make(kind, options, causal), ErrorKind::usage, words);
    };
    expect("sparse", {{"pattern", "\"fixed\""}, {"stride", "4"}}, true, "summary 8 is more than a block of stride 4");
    expect("longformer", {{"global_tokens", "1"}}, true, "a causal model has none");
    expect("longformer", {{"dilated_heads", "4"}}, false, "dilated_heads 4 are more than heads 3");
    expect("blockbert", {{"blocks", "3"}, {"shifted", "2"}}, false, "2 shifts of 2 heads are more than heads 3");
    ModelConfig turned;
    turned.width = 8;
    turned.positions = Positions::rotary;
    EXPECT_ERROR(MadeBlock(*find_block_kind("sparse"), turned), ErrorKind::usage, "this kind turns no keys");
}

}  // namespace
}  // namespace lithe

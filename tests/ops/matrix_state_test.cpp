// The operator of matrix states: pieces with the state carried equal the whole, forward and backward; what does not fit
// is said in words.
#include "lithe/ops/matrix_state.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/base/rng.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::wave;

constexpr int64_t B = 2, H = 2, K = 5, V = 6;

Tensor leaf(at::IntArrayRef sizes, double a, double b, double scale) {
    return wave(sizes, a, b, scale).set_requires_grad(true);
}

// How values are written: kernels/matrix_state/delta_state.h; or matrix_state.h with a normaliser.
enum class Form { added, delta_rule, two_rows, normalised };

// S, and n and m where there is a normaliser.
struct Carried {
    Tensor state, sums;
};

struct Sequence {
    Tensor q, k, v, g, beta, a, b, admit, start, start_sums, flags;
    Sequence(int64_t steps, int64_t decays, Form form = Form::added)
        : q(leaf({steps, B, H, K}, 0.37, 0.1, 0.7)),
          k(leaf({steps, B, H, K}, 0.53, 0.7, 0.6)),
          v(leaf({steps, B, H, V}, 0.91, 0.3, 0.8)),
          start(leaf({B, H, K, V}, 0.77, 0.2, 0.6)),
          flags(at::zeros({steps, B}, at::kByte)) {
        if (decays > 0) g = wave({steps, B, decays}, 0.71, 0.4, 2.0).abs().neg().set_requires_grad(true);
        if (form == Form::delta_rule) beta = wave({steps, B, H}, 0.43, 0.9, 1.0).sigmoid().set_requires_grad(true);
        if (form == Form::two_rows) {
            a = leaf({steps, B, H, K}, 0.47, 0.2, 0.6);
            b = (a.detach() * 0.5).set_requires_grad(true);
        }
        if (form == Form::normalised) {
            admit = leaf({steps, B, H}, 0.83, 0.9, 3.0);
            start_sums = leaf({B, H, K + 1}, 0.67, 0.5, 0.8);
        }
        for (int64_t t = 0; t < steps; ++t) {
            if (random_unit(1, uint64_t(t)) < 0.01) flags[t][0] = int(kDocumentBegins);
            if (random_unit(2, uint64_t(t)) < 0.1) flags[t][1] = int(kPadding);
        }
    }
    std::vector<Tensor> leaves() const {
        std::vector<Tensor> list = {q, k, v, start};
        if (g.defined()) list.push_back(g);
        for (const Tensor& each : {beta, a, b, admit, start_sums})
            if (each.defined()) list.push_back(each);
        return list;
    }
    Carried begin() const { return {start, start_sums}; }
    ops::MatrixStateOutput run(int64_t first, int64_t count, const Carried& from) const {
        auto part = [&](const Tensor& x) { return x.defined() ? x.narrow(0, first, count) : x; };
        return ops::matrix_state({.q_TBHK = part(q),
                                  .k_TBHK = part(k),
                                  .v_TBHV = part(v),
                                  .g_TBX = part(g),
                                  .beta_TBH = part(beta),
                                  .a_TBHK = part(a),
                                  .b_TBHK = part(b),
                                  .admit_TBH = part(admit),
                                  .start_BHKV = from.state,
                                  .start_sums_BHX = from.sums,
                                  .flags_TB = part(flags),
                                  .heads = H,
                                  .key = K,
                                  .value = V,
                                  .scale = 0.4});
    }
};

// Gradients of what is left at the end, and of all outputs; the leaves' gradients are taken out.
std::vector<Tensor> gradients(const Sequence& sequence, const Tensor& out, const Tensor& state) {
    torch::autograd::backward({(out * wave(out.sizes(), 0.3, 0.4, 1.0)).sum() + (state * state).sum()}, {});
    std::vector<Tensor> list;
    for (Tensor& each : sequence.leaves()) {
        list.push_back(each.grad());
        each.mutable_grad() = Tensor();
    }
    return list;
}

TEST(MatrixState, PiecesOfAnyLengthEqualTheWhole) {
    constexpr int64_t kSteps = 1500;
    for (const int64_t decays : {int64_t(0), H, H * K})
        for (const Form form : {Form::added, Form::delta_rule, Form::two_rows, Form::normalised}) {
            if (form == Form::normalised && decays != H) continue;
            const Sequence sequence(kSteps, decays, form);
            const auto whole = sequence.run(0, kSteps, sequence.begin());
            const auto expected = gradients(sequence, whole.out_TBX, whole.state_BHKV);
            std::vector<Tensor> pieces;
            Carried carried = sequence.begin();
            for (int64_t at = 0, count; at < kSteps; at += count) {
                count = std::min(kSteps - at, 1 + int64_t(150 * random_unit(3, uint64_t(at))));
                const auto piece = sequence.run(at, count, carried);
                pieces.push_back(piece.out_TBX);
                carried = {piece.state_BHKV, piece.sums_BHX};
            }
            const Tensor out = at::cat(pieces);
            const std::string what = std::to_string(decays) + " decays, " + std::to_string(int(form)) + " form, ";
            expect_close(out, whole.out_TBX, 1e-10, what + "out");
            expect_close(carried.state, whole.state_BHKV, 1e-10, what + "state");
            if (whole.sums_BHX.defined()) expect_close(carried.sums, whole.sums_BHX, 1e-10, what + "sums");
            const auto got = gradients(sequence, out, carried.state);
            for (size_t i = 0; i < got.size(); ++i)
                expect_close(got[i], expected[i], 1e-9, what + "gradient " + std::to_string(i));
        }
}

// By chunks, and token by token, at lengths around those of chunks.
TEST(MatrixState, ANormaliserByChunksIsTheOneByTokens) {
    for (const int64_t steps : {1, 2, 15, 16, 17, 63, 64, 65, 257}) {
        const Sequence sequence(steps, H, Form::normalised);
        const auto whole = sequence.run(0, steps, {});
        const auto expected = gradients(sequence, whole.out_TBX, whole.state_BHKV);
        std::vector<Tensor> tokens;
        Carried carried;
        for (int64_t t = 0; t < steps; ++t) {
            const auto token = sequence.run(t, 1, carried);
            tokens.push_back(token.out_TBX);
            carried = {token.state_BHKV, token.sums_BHX};
        }
        const std::string what = std::to_string(steps) + " steps, ";
        expect_close(at::cat(tokens), whole.out_TBX, 1e-11, what + "out");
        const auto got = gradients(sequence, at::cat(tokens), carried.state);
        for (size_t i = 0; i < got.size(); ++i) {
            ASSERT_EQ(got[i].defined(), expected[i].defined()) << what << i;
            if (got[i].defined()) expect_close(got[i], expected[i], 1e-10, what + "gradient " + std::to_string(i));
        }
    }
}

// Packed q, k and v, and q and k that heads share, are the same numbers in other places.
TEST(MatrixState, OtherPlacesOfItsInputs) {
    for (const Form form : {Form::added, Form::delta_rule}) {
        const Sequence sequence(40, H, form);
        const auto expected = sequence.run(0, 40, sequence.begin());
        const auto expected_gradients = gradients(sequence, expected.out_TBX, expected.state_BHKV);
        const Tensor packed = at::cat({sequence.q.flatten(2), sequence.k.flatten(2), sequence.v.flatten(2)}, 2);
        const auto got = ops::matrix_state({.packed_TBX = packed,
                                            .g_TBX = sequence.g,
                                            .beta_TBH = sequence.beta,
                                            .start_BHKV = sequence.start,
                                            .flags_TB = sequence.flags,
                                            .heads = H,
                                            .key = K,
                                            .value = V,
                                            .scale = 0.4});
        EXPECT_TRUE(at::equal(got.out_TBX, expected.out_TBX));
        const auto got_gradients = gradients(sequence, got.out_TBX, got.state_BHKV);
        for (size_t i = 0; i < got_gradients.size(); ++i)
            EXPECT_TRUE(at::equal(got_gradients[i], expected_gradients[i])) << i;

        Sequence shared(40, H, form);
        shared.q = leaf({40, B, 1, K}, 0.37, 0.1, 0.7);
        shared.k = leaf({40, B, 1, K}, 0.53, 0.7, 0.6);
        const auto one = shared.run(0, 40, shared.begin());
        const auto one_gradients = gradients(shared, one.out_TBX, one.state_BHKV);
        Sequence repeated = shared;
        repeated.q = shared.q.detach().expand({40, B, H, K}).clone().set_requires_grad(true);
        repeated.k = shared.k.detach().expand({40, B, H, K}).clone().set_requires_grad(true);
        const auto all = repeated.run(0, 40, repeated.begin());
        const auto all_gradients = gradients(repeated, all.out_TBX, all.state_BHKV);
        EXPECT_TRUE(at::equal(one.out_TBX, all.out_TBX));
        expect_close(one_gradients[0], all_gradients[0].sum(2, true), 1e-12, "dq");
        expect_close(one_gradients[1], all_gradients[1].sum(2, true), 1e-12, "dk");
    }
}

// q and k divided by their lengths inside are those divided before.
TEST(MatrixState, RowsOfLengthOne) {
    for (const Form form : {Form::added, Form::delta_rule}) {
        const Sequence sequence(70, H, form);
        auto run = [&](const Tensor& q, const Tensor& k, double unit) {
            return ops::matrix_state({.q_TBHK = q,
                                      .k_TBHK = k,
                                      .v_TBHV = sequence.v,
                                      .g_TBX = sequence.g,
                                      .beta_TBH = sequence.beta,
                                      .start_BHKV = sequence.start,
                                      .flags_TB = sequence.flags,
                                      .heads = H,
                                      .key = K,
                                      .value = V,
                                      .scale = 0.4,
                                      .unit = unit});
        };
        auto short_rows = [](const Tensor& x) { return x / (x.square().sum(3, true) + 0.01).sqrt(); };
        const auto got = run(sequence.q, sequence.k, 0.01);
        const auto got_gradients = gradients(sequence, got.out_TBX, got.state_BHKV);
        const auto expected = run(short_rows(sequence.q), short_rows(sequence.k), 0);
        const auto expected_gradients = gradients(sequence, expected.out_TBX, expected.state_BHKV);
        expect_close(got.out_TBX, expected.out_TBX, 1e-12, "out");
        for (size_t i = 0; i < got_gradients.size(); ++i)
            expect_close(got_gradients[i], expected_gradients[i], 1e-11, "gradient " + std::to_string(i));
    }
}

TEST(MatrixState, WhatDoesNotFitIsSaid) {
    Sequence sequence(4, H);
    sequence.g = at::zeros({4, B, H + 1}, at::kDouble);
    EXPECT_ERROR(sequence.run(0, 4, sequence.begin()), ErrorKind::failed, "do not fit");
    sequence.g = at::zeros({4, B, H}, at::kFloat);
    EXPECT_ERROR(sequence.run(0, 4, sequence.begin()), ErrorKind::failed, "fp64 for fp64");
    sequence.g = Tensor();
    EXPECT_ERROR(sequence.run(0, 4, {at::zeros({B, H, V, K}, at::kDouble), {}}), ErrorKind::failed, "state");
    sequence.beta = at::zeros({4, B, H + 1}, at::kDouble);
    EXPECT_ERROR(sequence.run(0, 4, sequence.begin()), ErrorKind::failed, "beta");
    sequence.beta = Tensor();
    sequence.a = at::zeros({4, B, H, K}, at::kDouble);
    EXPECT_ERROR(sequence.run(0, 4, sequence.begin()), ErrorKind::failed, "a and b stand together");
    sequence.b = at::zeros({4, B, 1, K}, at::kDouble);
    EXPECT_ERROR(sequence.run(0, 4, sequence.begin()), ErrorKind::failed, "a or b");
    sequence.a = sequence.b = Tensor();
    sequence.k = at::zeros({4, B, H, K + 1}, at::kDouble);
    EXPECT_ERROR(sequence.run(0, 4, sequence.begin()), ErrorKind::failed, "q or k");
}

}  // namespace
}  // namespace lithe

// The short convolution against LibTorch's, over documents and streams, and token windows against it.
#include "lithe/ops/short_convolution.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/blocks/short_convolution.h"
#include "lithe/ops/token_windows.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::cosine;
using testing::expect_close;
using testing::wave;

ops::ShortConvolutionInput layer_input(int64_t steps, int64_t batch, int64_t width, int64_t taps) {
    ops::ShortConvolutionInput in;
    in.x_TBD = wave({steps, batch, width}, 0.53, 0.7, 1.3).set_requires_grad(true);
    in.w_KD = wave({taps, width}, 0.37, 0.1, 0.8).set_requires_grad(true);
    in.bias_D = wave({width}, 0.3, 0.2, 0.5).set_requires_grad(true);
    return in;
}

// LibTorch's depthwise convolution of [before; x].
Tensor by_libtorch(const ops::ShortConvolutionInput& in) {
    const int64_t taps = in.w_KD.size(0), width = in.w_KD.size(1);
    const Tensor before = in.before_LBD.defined()
                              ? in.before_LBD
                              : at::zeros({taps - 1, in.x_TBD.size(1), width}, in.x_TBD.options().requires_grad(false));
    const std::vector<int64_t> one = {1}, none = {0};
    const Tensor x_BDT = at::cat({before, in.x_TBD}).permute({1, 2, 0}), w_D1K = in.w_KD.t().unsqueeze(1);
    const Tensor y = at::conv1d(x_BDT, w_D1K, in.bias_D, one, none, one, width).permute({2, 0, 1});
    return in.silu ? at::silu(y) : y;
}

TEST(ShortConvolution, EqualsLibTorch) {
    for (const int64_t taps : {2, 3, 4, 8})
        for (const int64_t steps : {1, 2, 15, 16, 17, 65})
            for (const bool extras : {false, true}) {
                auto in = layer_input(steps, 3, 21, taps);
                in.silu = extras;
                if (extras) in.before_LBD = wave({taps - 1, 3, 21}, 0.41, 0.9, 1).set_requires_grad(true);
                const std::string what = std::to_string(taps) + " taps, " + std::to_string(steps) + " steps";
                const auto out = ops::short_convolution(in);
                const Tensor expected = by_libtorch(in);
                expect_close(out.y_TBD, expected, 1e-12, what);
                const Tensor weight = cosine(expected.sizes(), 0.3);
                std::vector<Tensor> leaves = {in.x_TBD, in.w_KD, in.bias_D};
                if (extras) leaves.push_back(in.before_LBD);
                std::vector<Tensor> ours, theirs;
                for (const Tensor& y : {out.y_TBD, expected}) {
                    for (Tensor& leaf : leaves) leaf.mutable_grad() = Tensor();
                    torch::autograd::backward({(y * weight).sum()}, {});
                    for (const Tensor& leaf : leaves) (y.is_same(expected) ? theirs : ours).push_back(leaf.grad());
                }
                for (size_t i = 0; i < leaves.size(); ++i)
                    expect_close(ours[i], theirs[i], 1e-11, what + ", gradient " + std::to_string(i));
            }
}

// Gradients come back through what a segment leaves, too.
TEST(ShortConvolution, PiecesEqualTheWhole) {
    auto in = layer_input(17, 2, 5, 4);
    in.silu = true;
    const Tensor weight = cosine({17, 2, 5}, 0.3);
    torch::autograd::backward({(by_libtorch(in) * weight).sum()}, {});
    const Tensor expected = in.x_TBD.grad().clone();
    for (const int64_t piece : {1, 2, 5}) {
        in.x_TBD.mutable_grad() = Tensor();
        Tensor loss = at::zeros({}, at::kDouble), before;
        for (int64_t at = 0; at < 17; at += piece) {
            auto part = in;
            const int64_t length = std::min<int64_t>(piece, 17 - at);
            part.x_TBD = in.x_TBD.narrow(0, at, length);
            part.before_LBD = before;
            const auto out = ops::short_convolution(part);
            loss = loss + (out.y_TBD * weight.narrow(0, at, length)).sum();
            before = out.last_LBD;
        }
        torch::autograd::backward({loss}, {});
        expect_close(in.x_TBD.grad(), expected, 1e-12, "pieces of " + std::to_string(piece));
    }
}

// Padding inside a row is passed over, and a document sees none before it: as if each stood alone.
TEST(ShortConvolution, DocumentsAndPaddingStandAlone) {
    auto in = layer_input(12, 1, 5, 4);
    in.before_LBD = wave({3, 1, 5}, 0.41, 0.9, 1);
    Tensor flags = at::zeros({12, 1}, at::kByte);
    for (const int64_t t : {1, 2, 7}) flags[t][0] = int(kPadding);
    flags[5][0] = int(kDocumentBegins);
    in.flags_TB = flags;
    const auto out = ops::short_convolution(in);
    const auto alone = [&](std::vector<int64_t> steps, const Tensor& before) {
        auto part = in;
        part.flags_TB = Tensor();
        part.before_LBD = before;
        const Tensor which = at::tensor(steps, at::kLong);
        part.x_TBD = in.x_TBD.index_select(0, which);
        const auto own = ops::short_convolution(part);
        expect_close(out.y_TBD.index_select(0, which), own.y_TBD, 1e-12, "a document");
        return own.last_LBD;
    };
    alone({0, 3, 4}, in.before_LBD);
    expect_close(out.last_LBD, alone({5, 6, 8, 9, 10, 11}, Tensor()), 0, "what is left");
    EXPECT_EQ(out.y_TBD[1].abs().sum().item<double>(), 0);
}

// A product of windows with a diagonal of taps is the convolution.
TEST(TokenWindows, AgreeWithTheConvolution) {
    for (const bool flagged : {false, true})
        for (const int64_t taps : {2, 4}) {
            auto in = layer_input(11, 3, 4, taps);
            in.before_LBD = wave({taps - 1, 3, 4}, 0.41, 0.9, 1);
            in.bias_D = Tensor();
            Tensor padding = at::zeros({11, 3}, at::kBool);
            if (flagged) {
                in.flags_TB = at::zeros({11, 3}, at::kByte);
                in.flags_TB[4][0] = int(kDocumentBegins);
                in.flags_TB.select(1, 1).narrow(0, 9, 2).fill_(int(kPadding));
                in.flags_TB.select(1, 2).fill_(int(kPadding));
                padding = in.flags_TB.bitwise_and(int64_t(kPadding)).to(at::kBool);
            }
            const auto expected = ops::short_convolution(in);
            const auto windows = ops::token_windows(in.x_TBD, in.before_LBD, in.flags_TB, taps);
            const Tensor y = (windows.windows_TBX.view({11, 3, taps, 4}) * in.w_KD.flip(0)).sum(2);
            expect_close(y.masked_fill(padding.unsqueeze(-1), 0), expected.y_TBD, 1e-12, "windows");
            expect_close(windows.last_LBD, expected.last_LBD, 0, "what is left");
        }
}

TEST(ShortConvolution, ChecksShapesAndTypes) {
    const auto in = layer_input(3, 2, 5, 4);
    const auto broken = [&](auto change, const char* words) {
        auto bad = in;
        change(bad);
        EXPECT_ERROR(ops::short_convolution(bad), ErrorKind::failed, words);
    };
    broken([](auto& i) { i.w_KD = at::zeros({4, 6}, at::kDouble); }, "expected x [T][B][D] and w [K][D]");
    broken([](auto& i) { i.w_KD = at::zeros({9, 5}, at::kDouble); }, "expected 2 to 8 taps, got 9");
    broken([](auto& i) { i.bias_D = at::zeros({6}, at::kDouble); }, "is not [D]");
    broken([](auto& i) { i.w_KD = i.w_KD.to(at::kFloat); }, "must be fp32 (fp64");
    broken([](auto& i) { i.before_LBD = at::zeros({2, 2, 5}, at::kDouble); }, "are not [K - 1][B][D]");
    broken([](auto& i) { i.flags_TB = at::zeros({2, 2}, at::kByte); }, "flags");
}

}  // namespace
}  // namespace lithe

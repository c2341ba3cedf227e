// Attention over another sequence against the formula of Vaswani et al. 2017, section 3.2, written out.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t B = 3, D = 8, H = 2;

// Head by head and query by query; padding [B][S] or undefined.
Tensor naive(const MadeBlock& made, const Tensor& x, const Tensor& source, const Tensor& padding) {
    const Tensor q = at::linear(x, made.parameter("query")), kv = at::linear(source, made.parameter("key_value"));
    const int64_t size = D / H;
    std::vector<Tensor> rows;
    for (int64_t b = 0; b < x.size(1); ++b) {
        std::vector<Tensor> heads;
        for (int64_t h = 0; h < H; ++h) {
            const Tensor k = kv.select(1, b).narrow(1, h * size, size),
                         v = kv.select(1, b).narrow(1, D + h * size, size);
            Tensor scores = at::matmul(q.select(1, b).narrow(1, h * size, size), k.t()) / std::sqrt(double(size));
            if (padding.defined()) scores = scores.masked_fill(padding[b].ne(0).unsqueeze(0), -INFINITY);
            heads.push_back(at::matmul(at::softmax(scores, 1), v));
        }
        rows.push_back(at::cat(heads, 1));
    }
    return at::linear(at::stack(rows, 1), made.parameter("out"));
}

// Few queries and many, sources longer and shorter than the sequence: both paths of the operator.
TEST(CrossAttention, IsTheFormula) {
    ModelConfig model;
    model.width = D;
    for (const auto& [steps, length] : {std::pair<int64_t, int64_t>{1, 6}, {4, 3}, {12, 5}, {9, 40}})
        for (const bool padded : {false, true}) {
            SCOPED_TRACE(std::to_string(steps) + " of " + std::to_string(length) + (padded ? ", padded" : ""));
            MadeBlock made(*find_block_kind("c"), model, {{"heads", "2", "test"}});
            const Tensor x = wave({steps, B, D}, 0.53, 0.7, 1.3).set_requires_grad(true),
                         source = wave({length, B, D}, 0.37, 0.2, 1.1).set_requires_grad(true);
            Tensor padding;
            if (padded) {
                padding = at::zeros({B, length}, at::kByte);
                padding.select(0, 1).narrow(0, length - 2, 2).fill_(1);
            }
            Bag bag;
            bag.put(kSource, source);
            if (padded) bag.put(kSourcePadding, padding);
            Pass pass;
            pass.training = true;
            const Tensor got = made.block->branch(x, {}, Call(pass, {}, bag)).delta_TBD;
            const Tensor expected = naive(made, x, source, padding);
            expect_close(got, expected, 1e-12, "output");
            const Tensor weight = wave({steps, B, D}, 0.3, 0.4, 1.0);
            std::vector<Tensor> leaves = {x, source};
            for (const char* name : {"query", "key_value", "out"}) leaves.push_back(made.parameter(name));
            auto gradients = [&](const Tensor& y) {
                torch::autograd::backward({(y * weight).sum()}, {});
                std::vector<Tensor> list;
                for (Tensor& leaf : leaves) {
                    list.push_back(leaf.grad().clone());
                    leaf.mutable_grad().reset();
                }
                return list;
            };
            const auto ours = gradients(got), theirs = gradients(expected);
            for (size_t i = 0; i < ours.size(); ++i)
                expect_close(ours[i], theirs[i], 1e-11, "gradient " + std::to_string(i));
        }
}

// Keys and values are made once: later calls find them in the state.
TEST(CrossAttention, TheStateHoldsTheSource) {
    ModelConfig model;
    model.width = D;
    MadeBlock made(*find_block_kind("c"), model, {{"heads", "2", "test"}});
    const Tensor x = wave({7, B, D}, 0.53, 0.7, 1.3);
    Bag bag;
    bag.put(kSource, wave({4, B, D}, 0.37, 0.2, 1.1));
    const Pass pass;
    const Tensor whole = made.block->branch(x, {}, Call(pass, {}, bag)).delta_TBD;
    BranchOutput first = made.block->branch(x.narrow(0, 0, 3), {}, Call(pass, {}, bag));
    const Tensor rest = made.block->branch(x.narrow(0, 3, 4), first.state, pass).delta_TBD;
    expect_close(at::cat({first.delta_TBD, rest}), whole, 1e-12, "in two pieces");
    EXPECT_THROW(made.block->branch(x, {}, pass), std::exception) << "there is no source";
}

}  // namespace
}  // namespace lithe

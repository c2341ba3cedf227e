// Hashed n-gram embeddings: what they look up, what they carry, how their tables are updated.
#include "lithe/nn/ngram_embedding.h"

#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/model/language_model.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/optimizer.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;

struct Made {
    ParameterStore store;
    NgramEmbedding ngrams{store, {.lengths = {2, 3, 4}, .rows = 1000, .width = 3}, 5};
    Made() { store.materialize(at::kDouble, at::kDouble, at::kCPU, 1); }
    Tensor operator()(const Tensor& ids, const Tensor& before = {}, const Tensor& flags = {}) {
        return ngrams(ids, flags, before, last);
    }
    Tensor last;
};

Tensor column(std::vector<int64_t> ids) { return at::tensor(ids, at::kLong).unsqueeze(1); }

TEST(Ngrams, SeeTheLastTokensAndNothingElse) {
    Made made;
    Tensor a = made(column({1, 2, 3, 4, 5, 6})), b = made(column({9, 9, 3, 4, 5, 6}));
    expect_close(a[5], b[5], 0, "four equal tokens");
    EXPECT_FALSE(at::equal(a[4], b[4]));  // 2 3 4 5 against 9 3 4 5
    Tensor other = made(column({3, 4, 5, 6}));
    EXPECT_FALSE(at::equal(other[2], a[4]));  // nothing stood before the 3
    expect_close(other[3], a[5], 0, "at the start of a stream, once four are there");
}

TEST(Ngrams, PiecesWithStateEqualTheWhole) {
    Made made;
    Tensor ids = (at::arange(22, at::kLong) * 7919 % 13).view({11, 2}), whole = made(ids), state;
    std::vector<Tensor> pieces;
    for (int64_t at : {0, 1, 2, 6}) {
        const int64_t end = at == 6 ? 11 : at == 2 ? 6 : at + 1;
        pieces.push_back(made(ids.narrow(0, at, end - at), state));
        state = made.last;
    }
    // the same sums, in an order that a product may choose by its number of rows
    expect_close(at::cat(pieces), whole, 1e-15, "pieces");
}

TEST(Ngrams, AResetForgets) {
    Made made;
    Tensor flags = at::zeros({6, 1}, at::kByte);
    flags[3][0] = int64_t(kDocumentBegins);
    Tensor with = made(column({1, 2, 3, 4, 5, 6}), {}, flags), alone = made(column({4, 5, 6}));
    expect_close(with.narrow(0, 3, 3), alone, 1e-15, "after the reset");
}

// Row-wise Adagrad on the rows that were looked up; rows that came twice are summed first; the others stay.
TEST(Ngrams, TablesTakeRowwiseAdagrad) {
    Made made;
    OptimizerConfig config;
    config.clip_norm = 0;
    config.learning_rate = 1e-3;
    config.table_learning_rate = 0.1;
    Optimizer optimizer(config, made.store);
    const size_t table = made.store.tables()[0];
    Tensor expected = made.store.master(table).clone(), sums = at::zeros({expected.size(0)}, at::kDouble);
    for (int step = 0; step < 3; ++step) {
        Tensor ids = column({1, 2, 1, 2, 1, 2}), weight = testing::wave({6, 1, 5}, 0.7, step, 1.0);
        torch::autograd::backward({(made(ids) * weight).sum()}, {});
        Tensor dense = made.store.working(table).grad().to_dense();
        made.store.collect_gradients(true);
        optimizer.step(1e-3, 1);
        sums += dense.square().mean(1);
        expected -= 0.1 * dense / (sums.sqrt() + 1e-8).unsqueeze(1);
        expect_close(made.store.master(table), expected, 1e-12, "table");
        expect_close(optimizer.table_sums()[0], sums, 1e-12, "sums");
    }
    EXPECT_EQ(sums.gt(0).sum().item<int64_t>(), 12);  // of 3 x 6 look-ups
}

// Lengths 2 and 5 see what all lengths up to 5 see of these two: the same rows, in tables of their own.
TEST(Ngrams, LengthsMayBeLeftOut) {
    ParameterStore store, other;
    const NgramEmbedding some(store, {.lengths = {2, 5}, .rows = 1000, .width = 3}, 7);
    const NgramEmbedding all(other, {.lengths = {2, 3, 4, 5}, .rows = 1000, .width = 3}, 7);
    EXPECT_EQ(some.history(), all.history());
    EXPECT_EQ(some.flops_per_token() * 2, all.flops_per_token());
    int64_t some_seen[] = {-1, -1, -1, -1}, all_seen[] = {-1, -1, -1, -1};
    for (int64_t id : {3, 1, 4, 1, 5, 9, 2}) {
        int64_t of_some[2], of_all[4];
        some.rows_of(id, some_seen, 1, of_some);
        all.rows_of(id, all_seen, 1, of_all);
        EXPECT_EQ(of_some[0], of_all[0]);
        EXPECT_EQ(of_some[1] - 1000, of_all[3] - 3000);
        EXPECT_TRUE(std::equal(some_seen, some_seen + 4, all_seen));
    }
}

}  // namespace
}  // namespace lithe

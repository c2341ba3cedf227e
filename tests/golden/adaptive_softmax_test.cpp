// Adaptive softmax (Grave et al. 2017) and embeddings in both cluster orders. The numbers are those of
// make_adaptive_softmax.py, which writes the formula down once more.
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "lithe/base/error.h"
#include "lithe/nn/adaptive_vocabulary.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_values;
using testing::wave;

constexpr int64_t V = 7, D = 4;

Tensor numbered(at::IntArrayRef sizes, double seed, double scale) { return wave(sizes, 0.7, seed, scale); }

struct Made {
    ParameterStore store;
    AdaptiveVocabulary vocabulary;
    explicit Made(const AdaptiveOptions& options = {.cutoffs = {3, 5}, .divisor = 2}) {
        vocabulary = AdaptiveVocabulary(store, options, V, D);
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 1);
        set("embeddings.bins.0.table", numbered({3, 4}, 11, .3));
        set("embeddings.bins.1.table", numbered({2, 2}, 12, .3));
        set("embeddings.bins.2.table", numbered({2, 1}, 13, .3));
        set("head.bias", at::cat({numbered({3}, 14, .3), numbered({2}, 15, .3), numbered({2}, 16, .3)}));
        set("head.bins.0.projection", numbered({D, 4}, 17, .3));
        set(options.tie_tails ? "embeddings.bins.1.projection" : "head.bins.1.projection", numbered({D, 2}, 18, .3));
        set(options.tie_tails ? "embeddings.bins.2.projection" : "head.bins.2.projection", numbered({D, 1}, 19, .3));
        set("head.clusters.weight", numbered({2, 4}, 20, .3));
        set("head.clusters.bias", numbered({2}, 21, .3));
    }
    void set(const std::string& name, const Tensor& value) {
        at::NoGradGuard guard;
        for (size_t i = 0; i < store.size(); ++i)
            if (store.spec(i).name == name) return void(store.working(i).copy_(value));
        throw std::runtime_error(name);
    }
};

TEST(AdaptiveSoftmax, GoldenInBothClusterOrders) {
    const Tensor h = numbered({1, D}, 7, 1);
    for (const bool tie_tails : {true, false}) {
        const auto in_order = [&](bool last_column_first) {
            const Made made(
                {.cutoffs = {3, 5}, .divisor = 2, .tie_tails = tie_tails, .last_column_first = last_column_first});
            return made.vocabulary.log_probabilities(h);
        };
        const Tensor original = in_order(true), forward = in_order(false);
        expect_values(original, {-1.477805, -1.598618, -1.689786, -2.375158, -2.404264, -2.254550, -2.334338}, 1e-6,
                      "original");
        expect_values(forward, {-1.477805, -1.598618, -1.689786, -2.279201, -2.308307, -2.350506, -2.430295}, 1e-6,
                      "forward");
        EXPECT_NEAR(original.exp().sum().item<double>(), 1, 1e-12);
        EXPECT_NEAR(forward.exp().sum().item<double>(), 1, 1e-12);
    }
}

TEST(AdaptiveSoftmax, TheLossIsThatOfTheLogProbabilities) {
    Made made;
    Tensor h = wave({9, D}, 0.9, 0.3, 1.2).set_requires_grad(true);
    const Tensor targets = at::tensor({0, 6, 3, -1, 2, 5, 4, 1, 6}, at::kLong);
    const Tensor kept = at::nonzero(targets.ge(0)).flatten();
    auto gradients = [&](const Tensor& loss) {
        h.mutable_grad() = Tensor();
        torch::autograd::backward({loss}, {});
        std::vector<Tensor> all = {h.grad().clone()};
        for (size_t i = 0; i < made.store.size(); ++i) {
            Tensor& g = made.store.working(i).mutable_grad();
            all.push_back(g.defined() ? g.clone() : at::zeros_like(made.store.working(i)));
            g.reset();
        }
        return all;
    };
    const Tensor fused = made.vocabulary.loss(h, targets);
    const Tensor plain = -made.vocabulary.log_probabilities(h)
                              .index_select(0, kept)
                              .gather(1, targets.index_select(0, kept).unsqueeze(1))
                              .sum();
    EXPECT_NEAR(fused.item<double>(), plain.item<double>(), 1e-12);
    auto a = gradients(fused), b = gradients(plain);
    for (size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i], 1e-12, "gradient " + std::to_string(i));
}

TEST(AdaptiveSoftmax, EmbeddingsAreProjectedRowsOfTheirBins) {
    Made made;
    at::NoGradGuard guard;
    const Tensor ids = at::tensor({6, 0, 3, 2}, at::kLong).view({2, 2});
    auto find = [&](const std::string& name) {
        for (size_t i = 0; i < made.store.size(); ++i)
            if (made.store.spec(i).name == name) return made.store.working(i);
        throw std::runtime_error(name);
    };
    const Tensor got = made.vocabulary.embed(ids).view({4, D});
    const std::pair<const char*, int64_t> places[] = {{"2", 1}, {"0", 0}, {"1", 0}, {"0", 2}};
    for (int64_t i = 0; i < 4; ++i) {
        const std::string name = std::string("embeddings.bins.") + places[i].first;
        expect_close(got[i], at::mv(find(name + ".projection"), find(name + ".table")[places[i].second]), 1e-12, name);
    }
}

TEST(AdaptiveSoftmax, UniformAtEachSoftmaxIsTheSumOfTheirLogarithms) {
    EXPECT_NEAR(std::log(20003), 9.9036, 1e-4);
    ParameterStore store;
    AdaptiveVocabulary vocabulary(store, {.cutoffs = {20000, 40000, 200000}}, 267735, 2);
    store.materialize(at::kFloat, at::kFloat, at::kCPU, 1);
    const Tensor zero = at::zeros({1, 2});
    const std::pair<int64_t, double> expected[] = {{5, 9.9036}, {20005, 19.8071}, {40005, 21.8866}, {200005, 21.0270}};
    for (const auto& [word, nats] : expected)
        EXPECT_NEAR(vocabulary.loss(zero, at::tensor({word}, at::kLong)).item<double>(), nats, 1e-4) << word;
}

TEST(AdaptiveSoftmax, WrongCutoffsAreTold) {
    EXPECT_EQ(parse_cutoffs("20k/40k", 100'000), (std::vector<int64_t>{20'000, 40'000}));
    EXPECT_TRUE(parse_cutoffs("", 10).empty());
    for (const char* wrong : {"5/4", "0", "3/3", "12", "a", "3//4", "-1"})
        EXPECT_THROW(parse_cutoffs(wrong, 10), Error) << wrong;
}

}  // namespace
}  // namespace lithe

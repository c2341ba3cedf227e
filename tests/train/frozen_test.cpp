// Frozen parameters: no gradient, no moments, the same loss; what is trained moves as ever.
#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/stepped.h"

namespace lithe {
namespace {

using testing::Stepped;

const char* const kText =
    "[model]\nwidth = 16\nlayout = \"u(sf)<sru>\"\nheads = 2\nmemory = 6\n"
    "[model.ngrams]\nlengths = \"2-3\"\nrows = 40\nwidth = 4\n[train]\nbatch = 4\n";

std::string frozen_text(const std::string& paths) { return kText + ("frozen = [" + paths + "]\n"); }

Tensor some_ids(int64_t seed) { return (at::arange(24, at::kLong) * (7 + 2 * seed) + seed).remainder(50).view({6, 4}); }

std::map<std::string, Tensor> gradients(const ParameterStore& store) {
    std::map<std::string, Tensor> all;
    for (size_t i = 0; i < store.size(); ++i)
        if (store.flat(i)) all[store.spec(i).name] = store.gradient(i).clone();
    return all;
}

TEST(Frozen, TheOthersHaveTheGradientThatTheyHad) {
    Stepped plain(kText, {}), frozen(frozen_text("\"decoder.layers.1\", \"embeddings\""), {});
    const double loss = plain.accumulate(some_ids(0), some_ids(1), 3);
    EXPECT_DOUBLE_EQ(frozen.accumulate(some_ids(0), some_ids(1), 3), loss);
    const auto all = gradients(plain.model.parameters()), rest = gradients(frozen.model.parameters());
    EXPECT_GT(rest.size(), 5u);
    EXPECT_LT(rest.size(), all.size() - 3);
    for (const auto& [name, gradient] : rest) {
        EXPECT_FALSE(stands_under(name, "embeddings") || stands_under(name, "decoder.layers.1")) << name;
        EXPECT_TRUE(at::allclose(gradient, all.at(name), 1e-10, 1e-12)) << name;
    }
}

// In every optimizer, with tables, working copies in bf16, an average and lookahead.
TEST(Frozen, StaysWhatItWas) {
    for (const char* optimizer : {"name = \"adamw\"\naverage = 0.9\nlookahead_steps = 2\n", "name = \"muon\"\n",
                                  "name = \"sgd\"\n", "name = \"lamb\"\n"}) {
        const std::string text =
            frozen_text("\"decoder.layers.0\", \"embeddings.ngrams\"") + "[optimizer]\n" + optimizer;
        Stepped stepped(text, {.step = {.parts = 2}, .master = at::kFloat, .working = at::kBFloat16});
        ParameterStore& store = stepped.model.parameters();
        std::vector<Tensor> before;
        for (size_t i = 0; i < store.size(); ++i) before.push_back(store.master(i).clone());
        for (int i = 0; i < 4; ++i) stepped.run(some_ids(i), some_ids(i + 1), uint64_t(i));
        for (size_t i = 0; i < store.size(); ++i) {
            const std::string& name = store.spec(i).name;
            const bool frozen = stands_under(name, "decoder.layers.0") || stands_under(name, "embeddings.ngrams");
            EXPECT_EQ(at::equal(store.master(i), before[i]), frozen) << optimizer << name;
            EXPECT_TRUE(at::equal(store.working(i), store.master(i).to(store.working(i).scalar_type()))) << name;
        }
        for (const size_t table : store.tables()) EXPECT_TRUE(store.frozen(table));
        for (const Tensor& sums : stepped.optimizer->table_sums()) EXPECT_EQ(sums.numel(), 0);
        for (const Optimizer::Moment& each : stepped.optimizer->moments())
            EXPECT_EQ(each.name.find("/decoder.layers.0"), std::string::npos) << each.name;
    }
}

TEST(Frozen, LoadedWeightsReachTheWorkingCopies) {
    Stepped stepped(frozen_text("\"decoder.layers.0\""), {.master = at::kFloat, .working = at::kBFloat16});
    ParameterStore& store = stepped.model.parameters();
    for (size_t i = 0; i < store.size(); ++i) store.master(i).fill_(0.25);
    store.refresh_working();
    for (size_t i = 0; i < store.size(); ++i)
        EXPECT_EQ(store.working(i).min().item<double>(), 0.25) << store.spec(i).name;
}

TEST(Frozen, PathsAreWholeNames) {
    EXPECT_TRUE(stands_under("decoder.layers.1.x", "decoder.layers.1"));
    EXPECT_TRUE(stands_under("decoder", "decoder"));
    EXPECT_FALSE(stands_under("decoder.layers.12.x", "decoder.layers.1"));
    EXPECT_ERROR(Stepped(frozen_text("\"decoder.layers.9\""), {}), ErrorKind::usage,
                 "the model has no parameters under decoder.layers.9");
}

}  // namespace
}  // namespace lithe

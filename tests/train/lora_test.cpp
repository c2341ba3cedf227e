// Updates of low rank in training: what moves, what stays, what files have. Their formula: golden/lora_test.cpp.
#include <gtest/gtest.h>

#include "lithe/model/parameter_files.h"
#include "lithe/model/partial_weights.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/stepped.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::Stepped;
using testing::TemporaryFolder;
using testing::wave;

const std::string kText = "[model]\nwidth = 16\nlayout = \"u(sf)<gru>\"\nheads = 2\nmemory = 6\n";
const std::string kTrain = "[train]\nbatch = 4\n";
const std::string kLora = "[train.lora]\nrank = 3\nalpha = 6\n";

Tensor some_ids(int64_t seed) { return (at::arange(24, at::kLong) * (7 + 2 * seed) + seed).remainder(50).view({6, 4}); }

// Every update something else than zero.
void fill_updates(ParameterStore& store) {
    const at::NoGradGuard no_grad;
    for (const LoraUpdate& each : store.lora()) {
        const Tensor& up = store.master(each.up);
        up.copy_(wave(up.sizes().vec(), 0.37, 0.1 * double(each.matrix), 0.2));
    }
    store.refresh_working();
}

size_t index_of(const ParameterStore& store, const std::string& name) {
    for (size_t i = 0; i < store.size(); ++i)
        if (store.spec(i).name == name) return i;
    ADD_FAILURE() << name;
    return 0;
}

TEST(Lora, BeginsAsTheModelWithoutIt) {
    Stepped plain(kText + kTrain, {}), lora(kText + kTrain + kLora, {});
    EXPECT_GT(lora.model.parameters().lora().size(), 6u);
    EXPECT_DOUBLE_EQ(lora.accumulate(some_ids(0), some_ids(1), 3), plain.accumulate(some_ids(0), some_ids(1), 3));
}

// The gradients that a model of merged matrices has, by the formula for each of the stacked ones alone.
TEST(Lora, GradientsFollowFromThoseOfTheMergedMatrix) {
    Stepped merged(kText + kTrain, {}), lora(kText + kTrain + kLora, {.step = {.parts = 2}});
    ParameterStore &store = lora.model.parameters(), &whole = merged.model.parameters();
    fill_updates(store);
    {
        const at::NoGradGuard no_grad;
        for (const LoraUpdate& each : store.lora())
            whole.master(index_of(whole, store.spec(each.matrix).name)).copy_(store.working(each.matrix));
    }
    EXPECT_NEAR(lora.accumulate(some_ids(0), some_ids(1), 3), merged.accumulate(some_ids(0), some_ids(1), 3), 1e-12);
    for (const LoraUpdate& each : store.lora()) {
        const std::string& name = store.spec(each.matrix).name;
        const Tensor d = whole.gradient(index_of(whole, name)), up = store.master(each.up),
                     down = store.master(each.down);
        const int64_t rows = up.size(0) / each.stacked;
        for (int64_t i = 0; i < each.stacked; ++i) {
            const Tensor d_i = d.narrow(0, i * rows, rows), up_i = up.narrow(0, i * rows, rows),
                         down_i = down.narrow(0, i * 3, 3);
            expect_close(store.gradient(each.up).narrow(0, i * rows, rows), 2 * d_i.mm(down_i.t()), 1e-10, name);
            expect_close(store.gradient(each.down).narrow(0, i * 3, 3), 2 * up_i.t().mm(d_i), 1e-10, name);
        }
    }
}

// In every optimizer, with working copies in bf16, an average and lookahead.
TEST(Lora, TheMatricesStayAndProductsReadTheirSum) {
    for (const char* optimizer : {"name = \"adamw\"\naverage = 0.9\nlookahead_steps = 2\n", "name = \"muon\"\n",
                                  "name = \"sgd\"\n", "name = \"lamb\"\n"}) {
        for (const auto working : {at::kFloat, at::kBFloat16}) {
            const std::string text = kText + "[train]\nbatch = 4\nfrozen = [\"decoder\", \"embeddings\"]\n" + kLora +
                                     "[optimizer]\n" + optimizer;
            Stepped stepped(text, {.step = {.parts = 2}, .master = at::kFloat, .working = working});
            ParameterStore& store = stepped.model.parameters();
            for (size_t i = 0; i < store.size(); ++i)
                if (store.spec(i).role == Role::scalar) store.working(i).fill_(0.7);  // wake what starts silent
            std::vector<Tensor> before;
            for (size_t i = 0; i < store.size(); ++i) before.push_back(store.master(i).clone());
            for (int i = 0; i < 3; ++i) stepped.run(some_ids(i), some_ids(i + 1), uint64_t(i));
            for (size_t i = 0; i < store.size(); ++i)
                EXPECT_EQ(at::equal(store.master(i), before[i]), store.frozen(i)) << optimizer << store.spec(i).name;
            for (const LoraUpdate& each : store.lora()) {
                const Tensor sum =
                    store.master(each.matrix) +
                    lora_product(store.master(each.up), store.master(each.down), each.stacked, each.scale);
                EXPECT_TRUE(at::equal(store.working(each.matrix), sum.to(working))) << optimizer;
            }
        }
    }
}

class LoraFile : public ::testing::Test {
 protected:
    LoraFile() : lora_(kText + kTrain + kLora, kSingle) {
        fill_updates(lora_.model.parameters());
        write_tensors(folder_.file("m"), model_tensors(lora_.model.parameters()));
    }
    void expect_merged(const ParameterStore& store) {
        const ParameterStore& from = lora_.model.parameters();
        for (const LoraUpdate& each : from.lora()) {
            const std::string& name = from.spec(each.matrix).name;
            EXPECT_TRUE(at::equal(store.master(index_of(store, name)), from.working(each.matrix))) << name;
        }
    }
    const Stepped::Options kSingle{.master = at::kFloat, .working = at::kFloat};
    TemporaryFolder folder_;
    Stepped lora_;
};

TEST_F(LoraFile, IsMergedWhereTheModelHasNoUpdates) {
    Stepped plain(kText + kTrain, kSingle);
    load_parameters(plain.model.parameters(), folder_.file("m"));
    expect_merged(plain.model.parameters());
    Stepped part(kText + kTrain, kSingle);
    const TensorFiles file = {folder_.file("m")};
    const PartialWeights plan =
        plan_partial_weights(part.model.parameters(), file, parse_weight_parts({"decoder", "embeddings", "head"}));
    EXPECT_TRUE(plan.unused.empty()) << plan.unused.front();
    load_partial_weights(part.model.parameters(), file, plan);
    expect_merged(part.model.parameters());
}

TEST_F(LoraFile, GoesOnWhereItHas) {
    Stepped again(kText + kTrain + kLora, kSingle);
    load_parameters(again.model.parameters(), folder_.file("m"));
    const ParameterStore &before = lora_.model.parameters(), &after = again.model.parameters();
    for (size_t i = 0; i < before.size(); ++i) {
        EXPECT_TRUE(at::equal(before.master(i), after.master(i))) << before.spec(i).name;
        EXPECT_TRUE(at::equal(before.working(i), after.working(i))) << before.spec(i).name;
    }
}

// New updates on merged matrices.
TEST_F(LoraFile, BeginsAnother) {
    Stepped next(kText + kTrain + "[train.lora]\nrank = 1\n", kSingle);
    const TensorFiles file = {folder_.file("m")};
    ParameterStore& store = next.model.parameters();
    load_partial_weights(store, file, plan_partial_weights(store, file, parts_but_lora(store)));
    expect_merged(store);
}

TEST_F(LoraFile, ThatDoesNotFitIsRefused) {
    std::vector<NamedTensor> tensors = model_tensors(lora_.model.parameters());
    for (NamedTensor& each : tensors)
        if (each.name.ends_with(".down")) each.tensor = each.tensor.narrow(0, 0, 1).clone();
    write_tensors(folder_.file("bad"), tensors);
    Stepped plain(kText + kTrain, kSingle);
    ParameterStore& store = plain.model.parameters();
    EXPECT_ERROR(load_parameters(store, folder_.file("bad")), ErrorKind::bad_file, "does not fit it");
    const TensorFiles file = {folder_.file("bad")};
    EXPECT_ERROR(load_partial_weights(store, file, plan_partial_weights(store, file, parts_but_lora(store))),
                 ErrorKind::bad_file, "does not fit it");
}

TEST(Lora, PathsChooseMatrices) {
    const Stepped some(kText + kTrain + kLora + "paths = [\"decoder.layers.0\"]\n", {});
    const ParameterStore& store = some.model.parameters();
    EXPECT_FALSE(store.lora().empty());
    for (const LoraUpdate& each : store.lora())
        EXPECT_TRUE(stands_under(store.spec(each.matrix).name, "decoder.layers.0"));
    EXPECT_LT(store.count_trained(), store.count());
    EXPECT_ERROR(Stepped(kText + kTrain + kLora + "paths = [\"decoder.layers.9\"]\n", {}), ErrorKind::usage,
                 "no matrices under decoder.layers.9");
}

TEST(Lora, BiasesCanBeTrainedAlone) {
    const Stepped stepped(
        kText + "[train]\nbatch = 4\nfrozen = [\"decoder\", \"embeddings\", \"head\"]\nfreeze_biases = false\n", {});
    const ParameterStore& store = stepped.model.parameters();
    size_t trained = 0;
    for (size_t i = 0; i < store.size(); ++i) {
        EXPECT_EQ(store.frozen(i), store.spec(i).role != Role::bias) << store.spec(i).name;
        trained += !store.frozen(i);
    }
    EXPECT_GT(trained, 5u);
}

}  // namespace
}  // namespace lithe

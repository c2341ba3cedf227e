// Translation: the smoothed loss, what of a pair is read and predicted, and a run on pairs.
#include "lithe/objectives/translate.h"

#include <gtest/gtest.h>

#include <set>

#include "lithe/data/corpus.h"
#include "lithe/data/pair_feeder.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/ops/cross_entropy.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/train/trainer.h"
#include "support/errors.h"
#include "support/tiny_run.h"
#include "support/waves.h"

namespace lithe {
namespace {

// fairseq's label_smoothed_nll_loss, term by term.
TEST(Translate, SmoothedLossIsFairseqs) {
    const Tensor logits = testing::wave({4, 5}, 0.7, 0.3, 2.0), log_p = at::log_softmax(logits, 1);
    const Tensor targets = at::tensor(std::vector<int64_t>{3, -1, 0, 4});
    const double e = 0.1, each = e / 4;
    double expected = 0, nll = 0;
    for (int64_t n : {0, 2, 3}) {
        const double own = -log_p[n][targets[n].item<int64_t>()].item<double>();
        nll += own;
        expected += (1 - e - each) * own + each * -log_p[n].sum().item<double>();
    }
    const auto loss = [&](double smoothing) {
        const Tensor one_to_one = at::eye(5, at::kDouble), none = at::zeros({5}, at::kDouble);
        return ops::linear_cross_entropy(logits, one_to_one, none, targets, smoothing).item<double>();
    };
    EXPECT_NEAR(loss(e), expected, 1e-12);
    EXPECT_NEAR(loss(0), nll, 1e-12);
}

const std::string kConfig =
    "[model]\nwidth = 16\nheads = 2\nlayout = \"scf\"\npositions = \"sinusoidal\"\n[model.encoder]\nlayout = \"sf\"\n"
    "[objective]\nname = \"translate\"\n[optimizer]\nname = \"adamw\"\nlearning_rate = 0.01\n"
    "[train]\nbatch = 8\nlength = 24\nthreads = 1\nprecision = \"fp32\"\n[evaluation]\nbytes = 0\n"
    "[sample]\ntokens = 0\n";

// Each target is its source backwards.
void write_pairs(const testing::TemporaryFolder& folder, const std::string& name, int pairs) {
    std::string source, target;
    for (int i = 0; i < pairs; ++i) {
        std::string line;
        for (int j = 0; j < 3 + i % 7; ++j) line += char('a' + (i * 5 + j * j) % 6);
        source += line + "\n";
        target += std::string(line.rbegin(), line.rend()) + "\n";
    }
    folder.write(name + ".x", source);
    folder.write(name + ".y", target);
}

Config config_of(const testing::TemporaryFolder& folder, const std::vector<std::string>& sets = {}) {
    std::vector<std::string> all = {"train.max_steps=10", "data.train=" + folder.file("train.x"),
                                    "data.valid=" + folder.file("valid.x"), "data.parallel=.y"};
    all.insert(all.end(), sets.begin(), sets.end());
    return parse_config(kConfig, "test", all);
}

TEST(Translate, PairsAreReadWithTheirEnds) {
    const testing::TemporaryFolder folder;
    folder.write("train.x", "ab\ncde\n");
    folder.write("train.y", "vwx\nz\n");
    folder.write("valid.x", "a\n");
    folder.write("valid.y", "b\n");
    const Corpus corpus = Corpus::open(config_of(folder).data);
    const PairView view(corpus.split("train"), 256);
    ASSERT_EQ(view.size(), 2u);
    Batch batch;
    fill_pairs(view, {0, 1}, batch);
    EXPECT_EQ(batch.length, 4);
    EXPECT_EQ(batch.source.length, 4);
    EXPECT_EQ(batch.tokens, 6);
    const auto column = [&](const auto& numbers, int64_t length, int64_t row) {
        std::vector<int64_t> list;
        for (int64_t t = 0; t < length; ++t) list.push_back(int64_t(numbers[size_t(t * 2 + row)]));
        return list;
    };
    EXPECT_EQ(column(batch.source.ids, 4, 0), (std::vector<int64_t>{'a', 'b', 256, 0}));
    EXPECT_EQ(column(batch.source.flags, 4, 0), (std::vector<int64_t>{0, 0, 0, kPadding}));
    EXPECT_EQ(column(batch.inputs, 4, 0), (std::vector<int64_t>{256, 'v', 'w', 'x'}));
    EXPECT_EQ(column(batch.targets, 4, 0), (std::vector<int64_t>{'v', 'w', 'x', 256}));
    EXPECT_EQ(column(batch.targets, 4, 1), (std::vector<int64_t>{'z', 256, -1, -1}));
    EXPECT_EQ(column(batch.flags, 4, 1), (std::vector<int64_t>{0, 0, kPadding, kPadding}));
}

// Every pair once in an epoch, as many at a time as fit into the tokens, and the same again from any position.
TEST(Translate, FeederDealsEveryPairOnce) {
    const testing::TemporaryFolder folder;
    write_pairs(folder, "train", 64);
    write_pairs(folder, "valid", 8);
    const Corpus corpus = Corpus::open(config_of(folder).data);
    const PairOptions options{.batch = 2, .length = 12, .seed = 3, .end = 256};
    const auto feeder = make_pair_feeder(corpus.split("train"), options);
    std::vector<Batch> all;
    std::multiset<std::vector<int64_t>> epochs[2];
    int not_full = 0;
    for (uint64_t epoch = 0; epoch < 2;) {
        all.emplace_back();
        feeder->next(all.back());
        epoch = feeder->position().epoch;
        if (epoch == 2) break;
        const Batch& batch = all.back();
        EXPECT_LE(batch.rows * std::max(batch.length, batch.source.length), 24);
        not_full += (batch.rows + 1) * 10 <= 24;  // the longest pair has ten tokens
        for (int64_t row = 0; row < batch.rows; ++row) {
            std::vector<int64_t> target;
            for (int64_t t = 0; t < batch.length; ++t) target.push_back(batch.targets[size_t(t * batch.rows + row)]);
            target.resize(12, -1);
            epochs[epoch].insert(target);
        }
    }
    EXPECT_LE(not_full, 2) << "the last of an epoch";
    EXPECT_EQ(epochs[0].size(), 64u);
    EXPECT_EQ(epochs[0], epochs[1]);
    const size_t first_epoch = [&] {
        const auto twin = make_pair_feeder(corpus.split("train"), options);
        Batch batch;
        size_t count = 0;
        for (twin->next(batch); twin->position().epoch == 0; twin->next(batch)) ++count;
        return count;
    }();
    for (const size_t from : {size_t(0), size_t(7), first_epoch - 1, first_epoch, first_epoch + 1, all.size() - 3}) {
        const auto again = make_pair_feeder(corpus.split("train"), options);
        Batch batch;
        for (size_t i = 0; i < from; ++i) again->next(batch);
        const auto resumed = make_pair_feeder(corpus.split("train"), options);
        resumed->seek(again->position());
        for (size_t i = from; i < std::min(all.size(), from + 4); ++i) {
            resumed->next(batch);
            EXPECT_EQ(batch.inputs, all[i].inputs) << i;
            EXPECT_EQ(batch.source.ids, all[i].source.ids) << i;
        }
        FeedPosition beyond;
        beyond.at = first_epoch + 1;
        EXPECT_ERROR(resumed->seek(beyond), ErrorKind::bad_file, "is none of these rows");
    }
    EXPECT_ERROR(make_pair_feeder(corpus.split("train"), {.batch = 4, .length = 3}), ErrorKind::usage,
                 "no pair is short enough");
}

TrainResult train(const testing::TemporaryFolder& folder, const std::string& run, int64_t steps) {
    TrainOptions options;
    options.run = folder.file(run);
    Trainer trainer(config_of(folder, {"train.max_steps=" + std::to_string(steps), "schedule.name=constant"}), options);
    return trainer.run();
}

TEST(Translate, ARunLearnsAndGoesOnExactly) {
    const testing::TemporaryFolder folder;
    write_pairs(folder, "train", 300);
    write_pairs(folder, "valid", 40);
    const TrainResult first = train(folder, "whole", 5), whole = train(folder, "whole", 120);
    ASSERT_TRUE(first.valid && whole.valid);
    EXPECT_LT(whole.valid->loss, 0.6 * first.valid->loss);
    EXPECT_EQ(whole.valid->objective, "translate");
    train(folder, "parts", 37);
    const TrainResult parts = train(folder, "parts", 120);
    EXPECT_EQ(parts.valid->loss, whole.valid->loss) << "to the bit";
    // the scored tokens are the targets with their ends, which stand for the targets' bytes
    uint64_t bytes = 0, tokens = 0;
    for (int i = 0; i < 40; ++i) {
        bytes += uint64_t(3 + i % 7);
        tokens += uint64_t(4 + i % 7);
    }
    EXPECT_EQ(whole.valid->bytes, bytes);
    EXPECT_EQ(whole.valid->tokens, tokens);
}

// A cached corpus is another one when the other side of its pairs is.
TEST(Translate, TheOtherSideBelongsToTheText) {
    const testing::TemporaryFolder folder;
    write_pairs(folder, "train", 30);
    write_pairs(folder, "valid", 8);
    const std::string before = Corpus::open(config_of(folder).data).fingerprint();
    std::string changed = testing::read_all(folder.file("train.y"));
    changed[0] = 'z';
    folder.write("train.y", changed);
    EXPECT_NE(Corpus::open(config_of(folder).data).fingerprint(), before);
}

// As in training, pairs that are longer than the length are left out.
TEST(Translate, LongPairsOfTheValidationAreNotScored) {
    const testing::TemporaryFolder folder;
    write_pairs(folder, "train", 30);
    const std::string line(40, 'a');
    folder.write("valid.x", "ab\n" + line + "\ncd\n");
    folder.write("valid.y", "b\n" + line + "\nd\n");
    EXPECT_EQ(train(folder, "run", 3).valid->tokens, 4u);
}

TEST(Translate, WhatIsMissingIsTold) {
    const testing::TemporaryFolder folder;
    write_pairs(folder, "train", 30);
    write_pairs(folder, "valid", 8);
    const auto refused = [&](const std::vector<std::string>& sets, const std::string& words) {
        TrainOptions options;
        options.run = folder.file("refused");
        EXPECT_ERROR(Trainer(config_of(folder, sets), options), ErrorKind::usage, words);
    };
    refused({"objective.label_smoothing=0.95"}, "label_smoothing");
    refused({"data.order=documents"}, "an order of their own");
    refused({"data.rows=single"}, "an order of their own");
    Config alone = config_of(folder, {"model.layout=sf"});
    alone.encoder.reset();
    TrainOptions options;
    options.run = folder.file("refused");
    EXPECT_ERROR(Trainer(alone, options), ErrorKind::usage, "read by a second stack");
    folder.write("train.y", "one line\n");
    EXPECT_ERROR(Trainer(config_of(folder), options), ErrorKind::bad_file, "more lines");
}

}  // namespace
}  // namespace lithe

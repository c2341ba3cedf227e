// Texts with labels: how they are read and cut, what is lost on them, and runs that learn them.
#include <gtest/gtest.h>

#include <cmath>

#include "lithe/base/text.h"
#include "lithe/data/corpus.h"
#include "lithe/data/prepare.h"
#include "lithe/objectives/classify.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/objectives/predict.h"
#include "lithe/objectives/regress.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/train/trainer.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/waves.h"

namespace lithe {
namespace {

const std::string kConfig =
    "[model]\nwidth = 16\nheads = 2\nlayout = \"sf\"\npositions = \"sinusoidal\"\ndirection = \"bidirectional\"\n"
    "[objective]\nname = \"classify\"\ndropout = 0.1\n[optimizer]\nlearning_rate = 0.01\n[schedule]\nname = "
    "\"constant\"\n[train]\nbatch = 8\nlength = 24\nthreads = 1\nprecision = \"fp32\"\n[evaluation]\nbytes = 0\n";

// Texts of 'a's or of 'b's with others between them.
std::string table(int rows) {
    std::string text = "text\tlabel\n";
    for (int i = 0; i < rows; ++i) {
        const bool a = i % 3 == 0;
        std::string line;
        for (int j = 0; j < 4 + i % 5; ++j) line += j % 2 ? char('m' + (i + j) % 7) : a ? 'a' : 'b';
        text += line + "\t" + (a ? "first" : "other") + "\n";
    }
    return text;
}

Config config_of(const testing::TemporaryFolder& folder, const std::vector<std::string>& sets = {}) {
    folder.write("train.tsv", table(120));
    folder.write("valid.tsv", table(40));
    std::vector<std::string> all = {"train.max_steps=40", "data.train=" + folder.file("train.tsv"),
                                    "data.valid=" + folder.file("valid.tsv"), "data.label=label"};
    all.insert(all.end(), sets.begin(), sets.end());
    return parse_config(kConfig, "test", all);
}

// As a trainer does.
Config settled(Config config) {
    settle_objective(config, Corpus::open(config.data).split("train"));
    return config;
}

std::unique_ptr<Objective> objective_of(const Config& config) {
    return make_objective(config, tokenize::ByteTokenizer());
}

// A tokenizer with BERT's marks.
TokenizerPtr with_marks() {
    return tokenizer_from_json(
        R"({"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
            "max_input_chars_per_word":100,
            "vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"a":4,"b":5,"c":6,"d":7}},
            "added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],
            "pre_tokenizer":{"type":"Whitespace"}})",
        "test");
}

TEST(LabelledTexts, MarksStandWhereBertHasThem) {
    TokenList tokens;
    tokens.add({4, 5}, 3);
    tokens.add({6}, 1);
    Batch batch;
    const TextMarks marks = marks_of(*with_marks());
    LabelledTexts(tokens, {.marks = marks, .pairs = true, .length = 9}).fill({0}, batch);
    EXPECT_EQ(batch.inputs, (std::vector<int64_t>{2, 4, 5, 3, 6, 3}));
    EXPECT_EQ(batch.flags, (std::vector<uint8_t>{0, 0, 0, 0, kSecondText, kSecondText}));
    LabelledTexts(tokens, {.marks = marks, .length = 9}).fill({0, 1}, batch);
    EXPECT_EQ(batch.inputs, (std::vector<int64_t>{2, 2, 4, 6, 5, 3, 3, 0}));
    EXPECT_EQ(batch.flags, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, kPadding}));
    EXPECT_EQ(batch.tokens, 7);
}

TEST(LabelledTexts, TheLongerSideOfAPairIsCut) {
    TokenList tokens;
    tokens.add({4, 4, 4, 4, 4, 4}, 6);
    tokens.add({5, 6, 7}, 3);
    const LabelledTexts texts(tokens, {.marks = marks_of(*with_marks()), .pairs = true, .length = 8});
    EXPECT_EQ(texts.whole_length(0), 12);
    Batch batch;
    texts.fill({0}, batch);
    EXPECT_EQ(batch.inputs, (std::vector<int64_t>{2, 4, 4, 4, 3, 5, 6, 3})) << "run_classifier.py cuts the same";
    EXPECT_ERROR(LabelledTexts(tokens, {.marks = marks_of(*with_marks()), .pairs = true, .length = 4}),
                 ErrorKind::usage, "no room for a text");
}

TEST(LabelledTexts, TextsOfAPairMayStandApart) {
    TokenList tokens;
    tokens.add({4, 4, 4, 4, 4, 4, 4}, 7);
    tokens.add({5, 6}, 2);
    tokens.add({6}, 1);
    tokens.add({7, 7, 7}, 3);
    const LabelledTexts texts(tokens, {.marks = marks_of(*with_marks()), .pairs = true, .apart = true, .length = 6});
    EXPECT_EQ(texts.whole_length(0), 9) << "of the longer side";
    EXPECT_EQ(texts.length(1), 5);
    Batch batch;
    texts.fill({0, 1}, batch);
    EXPECT_EQ(batch.inputs, (std::vector<int64_t>{2, 2, 4, 6, 4, 3, 4, 0, 4, 0, 3, 0}));
    EXPECT_EQ(batch.source.ids, (std::vector<int64_t>{2, 2, 5, 7, 6, 7, 3, 7, 0, 3, 0, 0}));
    const uint8_t p = kPadding;
    EXPECT_EQ(batch.flags, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, p, 0, p, 0, p}));
    EXPECT_EQ(batch.source.flags, (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, p, 0, p, p}));
    EXPECT_EQ(batch.tokens, 6 + 3 + 4 + 5);
}

TEST(LabelledTexts, SecondTextsAndLabelsAreReadFromTables) {
    const testing::TemporaryFolder folder;
    DataConfig data;
    data.train = folder.write("train.csv", "one,two,kind\nab,c,x\nd,\"e,f\",y\n,z,x\n");
    data.field = "one";
    data.second = "two";
    data.label = "kind";
    const Corpus corpus = Corpus::open(data);
    const TokenView& train = corpus.split("train");
    ASSERT_EQ(train.documents(), 4u) << "a pair with an empty side is left out";
    EXPECT_NE(corpus.division().find("1 row of train.csv"), std::string::npos) << corpus.division();
    const LabelledTexts texts(train, {.marks = {{}, {10}, {}}, .pairs = true, .length = 20});
    Batch batch;
    texts.fill({1}, batch);
    EXPECT_EQ(batch.inputs, (std::vector<int64_t>{'d', 10, 'e', ',', 'f'}));
    EXPECT_EQ(texts.label(0), "x");
    EXPECT_EQ(texts.label(1), "y");
    data.train = folder.write("empty.csv", "one,two,kind\nab,c,x\nd,e,\n");
    EXPECT_ERROR(Corpus::open(data), ErrorKind::bad_file, "row 3 has no label");
    data.train = folder.write("null.jsonl", "{\"one\":\"a\",\"two\":\"b\",\"kind\":null}\n");
    EXPECT_ERROR(Corpus::open(data), ErrorKind::bad_file, "the label \"kind\" is null or empty");
}

TEST(Classify, LabelsComeFromTheTrainingText) {
    const testing::TemporaryFolder folder;
    const Config config = settled(config_of(folder, {"objective.class_weights=[\"balanced\"]"}));
    const auto objective = objective_of(config);
    EXPECT_EQ(objective->labels(), (std::vector<std::string>{"first", "other"}));
    Batch batch;
    batch.labels.classes = {0, 1, 1};
    // 40 of 120 texts are "first": 120 / (2 x 40), 120 / (2 x 80)
    EXPECT_NEAR(objective->weights(batch).at(kCrossEntropy), 1.5 + 2 * 0.75, 1e-12);
    folder.write("train.tsv", "text\tlabel\nab\tx\ncd\tx\n");
    EXPECT_ERROR(settled(parse_config(kConfig, "test", {"data.train=" + folder.file("train.tsv"), "data.label=label"})),
                 ErrorKind::bad_file, "every text to train on has the label \"x\"");
}

// Each loss by its formula, in fp64.
TEST(Classify, LossIsTheWeightedCrossEntropy) {
    const testing::TemporaryFolder folder;
    const Config config = settled(config_of(folder, {"objective.class_weights=[\"first=3\"]", "objective.dropout=0"}));
    const auto objective = objective_of(config);
    const Models models = training_models(*objective, config);
    models.main().materialize(at::kDouble, at::kDouble, at::kCPU, 5);
    const Corpus corpus = Corpus::open(config.data);
    const auto feeder = objective->feeder(config, corpus.tokenizer(), {{&corpus.split("train"), 1, "train"}});
    Batch batch;
    feeder->next(batch);
    ASSERT_EQ(batch.labels.size(), 8u);
    const DeviceBatch tensors = DeviceBatch::of(batch, at::kCPU);
    Pass pass = models.main().pass(false);
    const auto& labels = dynamic_cast<const LabelObjective&>(*objective);
    const Tensor p = at::softmax(labels.outputs(models, tensors, pass), 1);
    double expected = 0, weight = 0;
    for (int64_t row = 0; row < batch.rows; ++row) {
        const int64_t y = batch.labels.classes[size_t(row)];
        const double w = y == 0 ? 3 : 1;
        expected -= w * std::log(p[row][y].item<double>());
        weight += w;
    }
    const LossOutput out = objective->loss(models, tensors, {}, true, {});
    EXPECT_NEAR(out.terms.at(0).sum.item<double>(), expected, 1e-12);
    EXPECT_NEAR(objective->weights(batch).at(kCrossEntropy), weight, 1e-12);
}

TEST(Labels, PaddingAndPartsChangeNothing) {
    const testing::TemporaryFolder folder;
    for (const char* pooling : {"first", "mean", "last"}) {
        const Config config = settled(config_of(folder, {std::string("objective.pooling=") + pooling}));
        const auto objective = objective_of(config);
        const Models models = training_models(*objective, config);
        models.main().materialize(at::kDouble, at::kDouble, at::kCPU, 5);
        TokenList tokens;
        tokens.add({'a', 'b', 'c'}, 3);
        tokens.add({'a', 'b', 'c', 'd', 'e', 'f', 'g'}, 7);
        const auto& labels = dynamic_cast<const LabelObjective&>(*objective);
        const LabelledTexts texts = labels.texts(tokens, 24);
        Batch alone, together;
        texts.fill({0}, alone);
        texts.fill({0, 1}, together);
        const Pass pass = models.main().pass(false);
        const Tensor one = labels.outputs(models, DeviceBatch::of(alone, at::kCPU), pass);
        const Tensor two = labels.outputs(models, DeviceBatch::of(together, at::kCPU), pass);
        EXPECT_LT((one[0] - two[0]).abs().max().item<double>(), 1e-12) << pooling;
    }
}

// Pairs of words; the label says whether both are of a's and b's in the same number.
std::string pairs_table(int rows) {
    std::string text = "one\ttwo\tlabel\n";
    for (int i = 0; i < rows; ++i) {
        const bool first = i % 2 == 0, second = i / 2 % 2 == 0;
        const auto word = [&](bool a, int n) {
            return std::string(size_t(3 + n % 4), a ? 'a' : 'b') + char('m' + n % 9);
        };
        text += word(first, i) + "\t" + word(second, i / 3) + "\t" + (first == second ? "alike" : "other") + "\n";
    }
    return text;
}

Config pairs_config(const testing::TemporaryFolder& folder, const std::vector<std::string>& sets = {}) {
    std::vector<std::string> all = {"data.field=one", "data.second=two", "objective.pairs=apart",
                                    "objective.pooling=mean"};
    all.insert(all.end(), sets.begin(), sets.end());
    const Config config = config_of(folder, all);
    folder.write("train.tsv", pairs_table(160));
    folder.write("valid.tsv", pairs_table(40));
    return config;
}

// Conneau et al. 2017, figure 1: y = W [u; v; |u - v|; u v] + b.
TEST(Labels, ThePairsHeadSeesEachTextAlone) {
    const testing::TemporaryFolder folder;
    const Config config = settled(pairs_config(folder));
    const auto objective = objective_of(config);
    const Models models = training_models(*objective, config);
    models.main().materialize(at::kDouble, at::kDouble, at::kCPU, 5);
    TokenList tokens;
    tokens.add({'a', 'b', 'c'}, 3);
    tokens.add({'d', 'e', 'f', 'g', 'h'}, 5);
    const auto& labels = dynamic_cast<const LabelObjective&>(*objective);
    Batch batch;
    labels.texts(tokens, 24).fill({0}, batch);
    const Pass pass = models.main().pass(false);
    const Tensor given = labels.outputs(models, DeviceBatch::of(batch, at::kCPU), pass)[0];

    const LabelledTexts alone(tokens, {.marks = marks_of(tokenize::ByteTokenizer()), .length = 24});
    const auto mean = [&](uint64_t number) {
        Batch one;
        alone.fill({number}, one);
        return models.main().hidden(DeviceBatch::of(one, at::kCPU).ids_TB, {}, pass).h_TBD.mean(0)[0];
    };
    const Tensor u = mean(0), v = mean(1);
    const ParameterStore& store = models.main().parameters();
    Tensor expected;
    for (size_t i = 0; i < store.size(); ++i)
        if (store.spec(i).name == "label_head.weight")
            expected = store.master(i).mv(at::cat({u, v, (u - v).abs(), u * v}));
    ASSERT_TRUE(expected.defined());
    EXPECT_LT((given - expected).abs().max().item<double>(), 1e-12) << "the bias is zero at the start";
}

TEST(Labels, PairsApartLearnAndResumeExactly) {
    const testing::TemporaryFolder folder;
    const auto train = [&](const std::string& run, int64_t steps, const std::vector<std::string>& sets) {
        Config config = pairs_config(folder, sets);
        config.train.max_steps = steps;
        return Trainer(config, {.run = folder.file(run)}).run();
    };
    const TrainResult whole = train("whole", 200, {"train.parts=1"});
    EXPECT_GT(whole.valid->score.value, 0.95);
    train("parts", 90, {"train.parts=1"});
    EXPECT_EQ(train("parts", 200, {"train.parts=1"}).valid->loss, whole.valid->loss) << "to the last bit";
    const TrainResult cut = train("cut", 5, {"train.parts=2", "model.dropout=0.2"});
    EXPECT_NEAR(cut.valid->loss, train("one", 5, {"train.parts=1", "model.dropout=0.2"}).valid->loss, 1e-5);
}

TEST(Classify, LearnsAndResumesExactly) {
    const testing::TemporaryFolder folder;
    const auto train = [&](const std::string& run, int64_t steps) {
        Config config = config_of(folder, {"evaluation.every=20"});
        config.train.max_steps = steps;
        return Trainer(config, {.run = folder.file(run)}).run();
    };
    const TrainResult whole = train("whole", 40);
    ASSERT_TRUE(whole.valid);
    EXPECT_EQ(whole.valid->score.kind.name, "accuracy");
    EXPECT_EQ(whole.valid->texts, 40u);
    EXPECT_GT(whole.valid->score.value, 0.95);
    ASSERT_EQ(whole.valid->scores.size(), 3u);
    train("parts", 17);
    const TrainResult parts = train("parts", 40);
    EXPECT_EQ(parts.valid->loss, whole.valid->loss) << "to the last bit";
}

TEST(Regress, LearnsNumbers) {
    const testing::TemporaryFolder folder;
    std::string text = "text\tlabel\n";
    for (int i = 0; i < 160; ++i) {
        const int n = (i * 7) % 12;
        std::string line;
        for (int j = 0; j < 12; ++j) line += (j * 5 + i) % 12 < n ? 'x' : 'o';
        text += line + "\t" + std::to_string(n / 3.0) + "\n";
    }
    Config config = config_of(folder, {"objective.name=regress", "objective.pooling=mean", "train.max_steps=120"});
    folder.write("train.tsv", text);
    folder.write("valid.tsv", text);
    const TrainResult result = Trainer(config, {.run = folder.file("run")}).run();
    EXPECT_EQ(result.valid->score.kind.name, "pearson");
    EXPECT_GT(result.valid->score.value, 0.95);
    folder.write("train.tsv", "text\tlabel\nab\tgood\ncd\t1\n");
    EXPECT_ERROR(Trainer(config, {.run = folder.file("other")}).run(), ErrorKind::bad_file,
                 "the label \"good\" is no number");
}

TEST(Regress, NumbersOfAnySizeAreLearntAlike) {
    const testing::TemporaryFolder folder;
    const auto score_at = [&](double scale) {
        std::string text = "text\tlabel\n";
        for (int i = 0; i < 120; ++i)
            text += std::string(i % 2 ? "xxxx" : "oooo") + char('a' + i % 20) + "\t" +
                    std::to_string(scale * (i % 2 + 5)) + "\n";
        Config config = config_of(folder, {"objective.name=regress", "objective.pooling=mean", "train.max_steps=40"});
        folder.write("train.tsv", text);
        folder.write("valid.tsv", text);
        const TrainResult result = Trainer(config, {.run = folder.file("run" + std::to_string(scale))}).run();
        return std::pair(result.valid->score.value, result.valid->loss);
    };
    const auto [small, loss] = score_at(1);
    const auto [large, large_loss] = score_at(1e6);
    EXPECT_GT(small, 0.95);
    EXPECT_NEAR(large, small, 1e-3);
    EXPECT_NEAR(large_loss, loss, 1e-3);
    const std::string same = folder.write("same.tsv", "text\tlabel\nab\t3\ncd\t3\n");
    const Config constant = config_of(folder, {"objective.name=regress", "data.train=" + same, "data.valid=" + same});
    EXPECT_ERROR(Trainer(constant, {.run = folder.file("same")}), ErrorKind::bad_file,
                 "every text to train on has the number 3");
}

TEST(Labels, ATokenSetKnowsWhetherItHoldsPairs) {
    const testing::TemporaryFolder folder;
    DataConfig data;
    data.path = folder.write("pairs.csv", "text,two,label\nab,c,x\nd,e,y\nf,g,x\nh,i,y\n");
    data.second = "two";
    data.label = "label";
    data.split = "100/0/0";
    prepare_tokens(data, folder.file("set"), {});
    const Config config =
        settled(parse_config(kConfig, "test", {"data.path=" + folder.file("set"), "data.label=label"}));
    const Corpus corpus = Corpus::open(config.data);
    EXPECT_ERROR(objective_of(config)->feeder(config, corpus.tokenizer(), {{&corpus.split("train"), 1, "train"}}),
                 ErrorKind::bad_file, "the documents of the token set are pairs");
}

TEST(Labels, WhatCannotBeIsToldInASentence) {
    const testing::TemporaryFolder folder;
    const auto problems_of = [&](const std::vector<std::string>& sets) {
        Problems problems;
        check_config(config_of(folder, sets), problems);
        return join(problems.lines(), "; ");
    };
    EXPECT_EQ(problems_of({}), "");
    EXPECT_NE(problems_of({"data.label="}).find("no field of the text is named"), std::string::npos);
    EXPECT_NE(problems_of({"model.direction=causal", "objective.pooling=first"}).find("has seen nothing of the text"),
              std::string::npos);
    EXPECT_NE(problems_of({"objective.labels=[\"x\"]"}).find("one class alone"), std::string::npos);
    EXPECT_NE(problems_of({"objective.labels=[\"x\",\"y\",\"x\"]"}).find("stands twice"), std::string::npos);
    EXPECT_NE(problems_of({"objective.pairs=apart"}).find("there are no pairs to be read apart"), std::string::npos);
    EXPECT_NE(problems_of({"data.order=documents"}).find("an order of their own"), std::string::npos);
    const Config missing = config_of(folder, {"objective.labels=[\"first\",\"oter\"]"});
    EXPECT_ERROR(settled(missing), ErrorKind::bad_file, "no text to train on has the label \"oter\"");
    // a label of validation that training does not have
    const Config config = config_of(folder);
    folder.write("valid.tsv", "text\tlabel\nab\tthird\ncd\tfirst\n");
    EXPECT_ERROR(Trainer(config, {.run = folder.file("run")}).run(), ErrorKind::bad_file,
                 "the label \"third\" is none that the model was trained for");
}

}  // namespace
}  // namespace lithe

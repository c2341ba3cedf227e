// The public face of a trained model (include/lithe/model.h).
#include <gtest/gtest.h>

#include <thread>

#include "lithe/lithe.h"
#include "lithe/objectives/evaluate.h"
#include "support/errors.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::TemporaryFolder;

class ModelOfARun : public ::testing::Test {
 protected:
    ModelOfARun() {
        Training training = Training::open(
            {.config = testing::tiny_config(folder_), .settings = {"train.max_steps=30"}, .run = run(), .threads = 1});
        while (training.step()) {}
        valid_ = training.evaluate()->bits_per_byte;
    }
    std::string run() const { return folder_.file("run"); }
    TemporaryFolder folder_;
    double valid_ = 0;
};

TEST_F(ModelOfARun, TurnsTextIntoTokensAndBack) {
    const Model model = Model::open(run());
    const std::string text = "the mill \xff";
    EXPECT_EQ(model.decode(model.encode(text)), text);
    EXPECT_EQ(model.vocabulary_size(), 256);
    EXPECT_GT(model.parameters(), 0);
    EXPECT_ERROR(model.decode({256}), ErrorKind::usage, "the id 256 is outside the vocabulary of 256");
}

TEST_F(ModelOfARun, ScoresATextOnceFromAColdStart) {
    const Model model = Model::open(run(), {.threads = 1, .precision = "fp32"});
    const std::string text = testing::sample_text(500);
    const TextScore score = model.score(text);
    EXPECT_EQ(score.tokens, 499u);
    EXPECT_EQ(score.bytes, 499u);
    EXPECT_NEAR(score.bits_per_byte, score.nats_per_token / std::numbers::ln2, 1e-9);
    EXPECT_LT(score.bits_per_byte, 7);
    EXPECT_NEAR(score.bits_per_byte, valid_, 1.5) << "the same kind of text as that of the run";
    EXPECT_GT(model.score("QXZ#QXZ#QXZ#").bits_per_byte, score.bits_per_byte);
    EXPECT_ERROR(model.score("a"), ErrorKind::usage, "at least 2 tokens, got 1");
    std::stop_source stop;
    stop.request_stop();
    EXPECT_ERROR(model.score(text, stop.get_token()), ErrorKind::stopped, "while scoring");
}

TEST_F(ModelOfARun, RefusesOptionsOutOfTheirRanges) {
    for (const ModelOptions& options : {ModelOptions{.threads = -1}, ModelOptions{.threads = 5000},
                                        ModelOptions{.device = "gpu"}, ModelOptions{.precision = "int8"}})
        EXPECT_ERROR(Model::open(run(), options), ErrorKind::usage, "");
    const Model model = Model::open(run(), {.threads = 1});
    for (const GenerateOptions& options :
         {GenerateOptions{.temperature = -1}, GenerateOptions{.temperature = NAN}, GenerateOptions{.top_k = -1},
          GenerateOptions{.top_p = NAN}, GenerateOptions{.min_p = 2}, GenerateOptions{.repetition_penalty = 0}})
        EXPECT_ERROR(model.generate("the ", options), ErrorKind::usage, "a number out of its range");
    EXPECT_ERROR(model.generate("the ", {.tokens = -5}), ErrorKind::usage, "no fewer than 0");
    EXPECT_ERROR(model.translate({"the"}), ErrorKind::usage, "not trained to translate");
}

TEST_F(ModelOfARun, AStopEndsTheReadingOfAPrompt) {
    const Model model = Model::open(run(), {.threads = 1});
    std::stop_source stop;
    stop.request_stop();
    EXPECT_TRUE(model.generate(testing::sample_text(5000), {.stop = stop.get_token()}).tokens.empty());
}

TEST_F(ModelOfARun, GoesOnWithAText) {
    const Model model = Model::open(run(), {.threads = 1});
    GenerateOptions options{.tokens = 40, .seed = 7};
    const Generated made = model.generate("the ", options);
    EXPECT_EQ(made.tokens.size(), 40u);
    EXPECT_EQ(model.decode(made.tokens), made.text);
    EXPECT_FALSE(made.ended);
    EXPECT_EQ(model.generate("the ", options).text, made.text) << "the same seed";
    options.seed = 8;
    EXPECT_NE(model.generate("the ", options).text, made.text);
    EXPECT_EQ(model.generate("", {.tokens = 3}).tokens.size(), 3u);
}

TEST_F(ModelOfARun, TellsOfEachTokenAndStops) {
    const Model model = Model::open(run(), {.threads = 1});
    std::string told;
    std::vector<int64_t> tokens;
    GenerateOptions options{.tokens = 40};
    options.on_token = [&](int64_t token, std::string_view text) {
        tokens.push_back(token);
        told += text;
        return true;
    };
    const Generated whole = model.generate("the ", options);
    EXPECT_EQ(told + whole.held_back, whole.text);
    EXPECT_EQ(tokens, whole.tokens);
    int count = 0;
    options.on_token = [&](int64_t, std::string_view) { return ++count < 5; };
    EXPECT_EQ(model.generate("the ", options).tokens.size(), 5u);
    std::stop_source stop;
    options.stop = stop.get_token();
    options.on_token = [&](int64_t, std::string_view) { return stop.request_stop(); };
    const Generated stopped = model.generate("the ", options);
    EXPECT_EQ(stopped.tokens.size(), 1u);
    EXPECT_FALSE(stopped.ended);
}

TEST_F(ModelOfARun, ModelsOfDifferentThreadsDoNotDisturbEachOther) {
    const std::string text = testing::sample_text(2000);
    const double alone = Model::open(run(), {.threads = 1}).score(text).bits_per_byte;
    std::vector<double> together(3);
    std::vector<std::thread> threads;
    for (double& bits : together)
        threads.emplace_back([&] { bits = Model::open(run(), {.threads = 1}).score(text).bits_per_byte; });
    for (std::thread& thread : threads) thread.join();
    for (const double bits : together) EXPECT_EQ(bits, alone);
}

// The files may go, and a moved Model is the same.
TEST_F(ModelOfARun, OwnsWhatItNeeds) {
    Model model = Model::open(run(), {.threads = 1});
    const double before = model.score("the mill on the floss").bits_per_byte;
    std::filesystem::remove_all(run());
    const Model moved = std::move(model);
    EXPECT_EQ(moved.score("the mill on the floss").bits_per_byte, before);
}

TEST(Model, SaysWhatIsWrong) {
    TemporaryFolder folder;
    EXPECT_ERROR(Model::open(folder.file("none")), ErrorKind::bad_file, "no such run");
    EXPECT_ERROR(Model::open(folder.write("model.pt", "x")), ErrorKind::bad_file, "can execute code");
}

}  // namespace
}  // namespace lithe

// The public face of a training run (include/lithe/training.h).
#include <gtest/gtest.h>

#include "lithe/lithe.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer.h"
#include "support/errors.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::TemporaryFolder;

const std::vector<std::string> kTwelve = {"train.max_steps=12", "evaluation.every=5"};

TEST(Training, MakesTheStepsOfARun) {
    TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder);
    TrainOptions options;
    options.run = folder.file("whole");
    Trainer(load_config(config, kTwelve), options).run();

    Training training = Training::open({.config = config, .settings = kTwelve, .run = folder.file("stepped")});
    int64_t steps = 0;
    while (training.step()) {
        EXPECT_EQ(training.progress().step, ++steps);
        EXPECT_GT(training.progress().nats_per_token, 0);
    }
    EXPECT_EQ(steps, 12);
    EXPECT_EQ(training.progress().tokens, 12 * 4 * 8);
    EXPECT_EQ(training.stopped_by(), "steps");
    EXPECT_FALSE(training.step());
    EXPECT_EQ(testing::essence(folder.file("stepped")), testing::essence(folder.file("whole")));
}

TEST(Training, StopsAndGoesOn) {
    TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder);
    const std::string text = folder.file("text.txt");
    for (const char* name : {"unbroken", "broken"}) {
        std::stop_source stop;
        Training training = Training::open(
            {.config = config, .settings = kTwelve, .text = text, .run = folder.file(name), .stop = stop.get_token()});
        while (training.step())
            if (name == std::string("broken") && training.progress().step == 7) stop.request_stop();
        EXPECT_EQ(training.stopped_by(), name == std::string("broken") ? "signal" : "steps");
    }
    Training again =
        Training::open({.config = config, .settings = kTwelve, .text = text, .run = folder.file("broken")});
    EXPECT_EQ(again.progress().step, 7);
    while (again.step()) {}
    EXPECT_EQ(again.progress().step, 12);
    EXPECT_EQ(testing::essence(folder.file("broken")), testing::essence(folder.file("unbroken")));
}

TEST(Training, EvaluatesAndSavesWhenAsked) {
    TemporaryFolder folder;
    const std::string run = folder.file("run");
    Training training = Training::open(
        {.config = testing::tiny_config(folder), .settings = {"train.max_steps=100"}, .run = run, .threads = 1});
    const double before = training.evaluate()->bits_per_byte;
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(training.step());
    EXPECT_LT(training.evaluate()->bits_per_byte, before);
    EXPECT_TRUE(list_checkpoints(run).empty());
    EXPECT_TRUE(training.save());
    ASSERT_EQ(list_checkpoints(run).size(), 1u);
    EXPECT_EQ(list_checkpoints(run)[0].step, 40);
}

// In words of the library: settings and options by their names, no flags.
TEST(Training, SaysWhatIsWrong) {
    TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder);
    EXPECT_ERROR(Training::open({.config = config}), ErrorKind::usage, "needs a folder for its run [run]");
    EXPECT_ERROR(Training::open({.config = config, .settings = {"train.bach=2"}, .run = folder.file("r")}),
                 ErrorKind::usage, "unknown key train.bach, did you mean 'batch'? [a given setting]");
    EXPECT_ERROR(Training::open({.settings = {"train.max_steps=2"}, .run = folder.file("r")}), ErrorKind::usage,
                 "data.path=FILE");
    EXPECT_ERROR(Training::open({.config = config, .settings = {"schedule.name=cosine"}, .run = folder.file("r")}),
                 ErrorKind::usage, "(give train.max_steps, train.max_tokens or train.max_seconds)");
    EXPECT_ERROR(Training::open({.config = config, .text = folder.file("none"), .run = folder.file("r")}),
                 ErrorKind::bad_file, "cannot find the data");
    Training first = Training::open({.config = config, .settings = kTwelve, .run = folder.file("r")});
    EXPECT_ERROR(Training::open({.config = config, .settings = kTwelve, .run = folder.file("other")}),
                 ErrorKind::failed, "a Training in this process already");
}

}  // namespace
}  // namespace lithe

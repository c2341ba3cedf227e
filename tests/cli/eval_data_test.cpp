// `lithe eval --data`: another text is read as the run's own was.
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;
using testing::tiny_config;

class OtherText : public ::testing::Test {
 protected:
    std::string lines(const std::string& name, const std::string& field) {
        std::string text;
        for (int i = 0; i < 300; ++i)
            text += "{\"id\": " + std::to_string(i) + ", \"" + field + "\": \"the river runs past an old mill " +
                    std::to_string(i) + "\"}\n";
        return folder_.write(name, text);
    }
    nlohmann::json eval(std::vector<std::string> more) {
        std::vector<std::string> all = {"eval", folder_.file("run"), "--json"};
        all.insert(all.end(), more.begin(), more.end());
        const auto result = run(all);
        EXPECT_EQ(result.code, 0) << result.err;
        return result.json();
    }
    TemporaryFolder folder_;
};

TEST_F(OtherText, IsReadWithTheRunsField) {
    setenv("XDG_CACHE_HOME", folder_.file("cache").c_str(), 1);
    const std::string config = tiny_config(folder_), body = lines("body.jsonl", "body"), other = lines("o.jsonl", "o");
    ASSERT_EQ(run({"train", config, "--run", folder_.file("run"), "--max-steps", "3", "--set", "data.path=" + body,
                   "--set", "data.field=body"})
                  .code,
              0);
    const auto own = eval({"--data", ":valid"});
    EXPECT_EQ(eval({"--data", body + ":valid"})["bits_per_byte"], own["bits_per_byte"]);
    const auto all = eval({"--data", body});
    EXPECT_EQ(eval({"--data", other, "--field", "o"})["bits_per_byte"], all["bits_per_byte"]);
    EXPECT_EQ(eval({"--data", other, "--set", "data.field=o"})["bits_per_byte"], all["bits_per_byte"]);
    EXPECT_GT(eval({"--data", body, "--format", "text"})["tokens"], all["tokens"]);
    EXPECT_EQ(run({"eval", folder_.file("run"), "--data", other}).code, 3) << "it has no such field";
    EXPECT_FAILS(run({"eval", folder_.file("run"), "--set", "model.width=3"}), 2, "only settings of the data");
}

TEST_F(OtherText, ATextThatIsGoneIsAskedFor) {
    const std::string config = tiny_config(folder_);
    ASSERT_EQ(run({"train", config, "--run", folder_.file("run"), "--max-steps", "3"}).code, 0);
    std::filesystem::rename(folder_.file("text.txt"), folder_.file("moved.txt"));
    EXPECT_FAILS(run({"eval", folder_.file("run")}), 3, "--data TEXT:valid");
    EXPECT_GT(eval({"--data", folder_.file("moved.txt") + ":valid"})["tokens"], 0);
}

TEST_F(OtherText, ARunsTextThatBecameAnotherIsToldOf) {
    const std::string config = tiny_config(folder_);
    ASSERT_EQ(run({"train", config, "--run", folder_.file("run"), "--max-steps", "3"}).code, 0);
    EXPECT_EQ(run({"eval", folder_.file("run")}).err.find("is not what the run"), std::string::npos);
    std::string text = testing::read_all(folder_.file("text.txt"));
    text[19'500] = '#';
    folder_.write("text.txt", text);
    EXPECT_NE(run({"eval", folder_.file("run")}).err.find("is not what the run was trained on"), std::string::npos);
}

TEST(Flags, NotANumberIsRefused) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder);
    ASSERT_EQ(run({"train", config, "--run", folder.file("run"), "--max-steps", "3"}).code, 0);
    for (const char* value : {"nan", "NaN", "-nan", "inf", "-inf", "infinity", "-0.1", "1e999", "0.5x", ""}) {
        EXPECT_FAILS(run({"generate", folder.file("run"), "--prompt", "the", "--temperature=" + std::string(value)}), 2,
                     "--temperature");
        EXPECT_FAILS(run({"generate", folder.file("run"), "--prompt", "the", "--top-p=" + std::string(value)}), 2,
                     "--top-p");
        EXPECT_FAILS(run({"compare", folder.file("run"), "--carbon=" + std::string(value)}), 2, "--carbon");
    }
    for (const char* value : {"nan", "inf", "-inf"}) {
        for (const char* setting : {"sample.temperature", "optimizer.learning_rate", "schedule.warmup",
                                    "train.max_seconds", "data.temperature", "model.dropout"})
            EXPECT_FAILS(run({"train", config, "--run", folder.file("r"), "--max-steps", "3", "--set",
                              std::string(setting) + "=" + value}),
                         2, setting);
        EXPECT_EQ(run({"plan", folder.file("text.txt"), "--max-time", value}).code, 2);
    }
    EXPECT_EQ(run({"plan", folder.file("text.txt"), "--max-time", "1e308d"}).code, 2);
}

}  // namespace
}  // namespace lithe

// What `lithe generate` gives beside one text: several, of several prompts, by a beam, with probabilities, until a
// stop.
#include <fstream>

#include "lithe/base/text.h"
#include "support/files.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;

class Generating : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        folder_ = new TemporaryFolder();
        const std::string config = testing::tiny_config(*folder_);
        ASSERT_EQ(run({"train", config, "--run", path(), "--max-steps", "30", "-q"}).code, 0);
    }
    static void TearDownTestSuite() { delete folder_; }
    static std::string path() { return folder_->file("run"); }
    static testing::ProgramResult generate(std::vector<std::string> more) {
        std::vector<std::string> all = {"generate", path(), "--precision", "fp32", "--seed", "3"};
        all.insert(all.end(), more.begin(), more.end());
        if (std::find(more.begin(), more.end(), "--tokens") == more.end()) all.insert(all.end(), {"--tokens", "12"});
        return run(all);
    }
    static TemporaryFolder* folder_;
};
TemporaryFolder* Generating::folder_ = nullptr;

TEST_F(Generating, SeveralTextsOfSeveralPrompts) {
    const std::string file = folder_->write("prompts.txt", "the \r\nan old\nq");
    const auto json = generate({"--prompts", file, "--samples", "3", "--rows", "2", "--json"}).json();
    ASSERT_EQ(json["texts"].size(), 9u);
    EXPECT_EQ(json["texts"][3]["prompt"], "an old");
    EXPECT_NE(json["texts"][0]["text"], json["texts"][1]["text"]);
    EXPECT_EQ(json["texts"][0]["ending"], "tokens");
    const auto other = generate({"--prompts", file, "--samples", "3", "--rows", "9", "--json"}).json();
    EXPECT_EQ(json["texts"], other["texts"]) << "whatever is written beside it";
    const auto one = generate({"--prompt", "an old", "--json"}).json();
    EXPECT_EQ(one["text"], json["texts"][3]["text"]) << "the first sample is the text without samples";
    EXPECT_EQ(one["tokens"], 12);
    const std::string told = generate({"--prompt", "the ", "--samples", "2"}).out;
    EXPECT_NE(told.find("\n\nthe "), std::string::npos) << told;
    EXPECT_FAILS(generate({"--prompts", folder_->write("gap.txt", "a\n\nb\n")}), 2, "line 2 is empty");
    EXPECT_FAILS(generate({"--prompts", folder_->write("none.txt", "")}), 2, "the file of prompts is empty");
    EXPECT_FAILS(generate({"--prompts", file, "--prompt", "a"}), 2, "--prompt");
}

TEST_F(Generating, StopsBeforeAString) {
    const std::string whole = generate({"--prompt", "the ", "--tokens", "60"}).out;
    const std::string stop = whole.substr(30, 3);
    const size_t end = whole.find(stop, 4);
    const auto streamed = generate({"--prompt", "the ", "--tokens", "60", "--stop", stop, "--stop", "%%"});
    EXPECT_EQ(streamed.out, whole.substr(0, end) + "\n");
    const auto json = generate({"--prompt", "the ", "--tokens", "60", "--stop", stop, "--json"}).json();
    EXPECT_EQ(json["ending"], "stop");
    EXPECT_EQ(json["text"], printable(whole.substr(4, end - 4)));
    EXPECT_FAILS(generate({"--stop", ""}), 2, "a stop string is empty");
}

TEST_F(Generating, TellsLogProbabilities) {
    const auto json = generate({"--prompt", "the ", "--temperature", "0", "--logprobs", "2", "--json"}).json();
    ASSERT_EQ(json["log_probabilities"].size(), 12u);
    for (const auto& each : json["log_probabilities"]) {
        ASSERT_EQ(each["likeliest"].size(), 2u);
        EXPECT_EQ(each["likeliest"][0]["token"], each["token"]);
        EXPECT_LE(each["log_p"].get<double>(), 0);
        EXPECT_GE(each["likeliest"][0]["log_p"], each["likeliest"][1]["log_p"]);
    }
    const std::string text = generate({"--prompt", "the ", "--logprobs", "1"}).out;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\t'), 24) << text;
}

TEST_F(Generating, ABeamNeedsATokenThatEndsTexts) {
    const auto beam = [&](const std::vector<std::string>& more) {
        std::vector<std::string> all = {"generate", path(), "--precision", "fp32", "--beam", "3"};
        all.insert(all.end(), more.begin(), more.end());
        return run(all);
    };
    EXPECT_FAILS(beam({}), 2, "no token that ends a text");
    EXPECT_FAILS(beam({"--top-k", "4"}), 2, "draws nothing");
    EXPECT_FAILS(beam({"--seed", "4"}), 2, "draws nothing");
    EXPECT_FAILS(beam({"--stop", "a"}), 2, "ended by themselves");
    EXPECT_FAILS(generate({"--length-penalty", "2"}), 2, "add --beam N");
    EXPECT_EQ(run({"generate", "--stop", "qqq", path(), "--tokens", "3"}).code, 0) << "one string for each --stop";
}

// Lines as documents, so that a text has an end.
// What is written stands between the prompt and the suffix, in all forms of the output.
TEST(GenerateMiddle, FillsInWhatStandsBeforeASuffix) {
    const TemporaryFolder folder;
    std::string text;
    for (int i = 0; i < 3000; ++i) text += i % 2 ? "the dog barks.\n" : "a cat sleeps.\n";
    const std::string config = testing::tiny_config(folder);
    folder.write("text.txt", text);
    const auto trained = run({"train",
                              config,
                              "--run",
                              folder.file("run"),
                              "--max-steps",
                              "40",
                              "-q",
                              "--set",
                              "objective.name=middle",
                              "--set",
                              "model.memory=0",
                              "--set",
                              "train.length=24",
                              "--set",
                              "model.layout=(sf)x2",
                              "--set",
                              "model.width=32",
                              "--set",
                              "model.positions=rotary",
                              "--set",
                              "model.dropout=0"});
    ASSERT_EQ(trained.code, 0) << trained.err;
    const std::vector<std::string> ask = {"generate",  folder.file("run"), "--prompt", "the d",    "--suffix",
                                          "barks.\nc", "--temperature",    "0",        "--tokens", "8"};
    const auto words = run(ask);
    ASSERT_EQ(words.code, 0) << words.err;
    EXPECT_EQ(words.out.substr(0, 5), "the d");
    EXPECT_EQ(words.out.substr(words.out.size() - 9), "barks.\nc\n");
    std::vector<std::string> again = ask;
    again.push_back("--json");
    const auto json = run(again).json();
    EXPECT_EQ(json["suffix"], "barks.\nc");
    EXPECT_EQ(words.out, "the d" + json["text"].get<std::string>() + "barks.\nc\n");
    EXPECT_TRUE(json["ending"] == "end" || json["ending"] == "tokens");
    std::vector<std::string> told = again;
    told.insert(told.end(), {"--logprobs", "260"});
    EXPECT_EQ(run(told).code, 0) << "marks have no text, and probabilities all the same";
}

TEST_F(Generating, FillsInNoMiddleWithoutHavingLearntIt) {
    const auto refused = run({"generate", path(), "--prompt", "a", "--suffix", "b"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_NE(refused.err.find("objective.name = \"middle\""), std::string::npos) << refused.err;
}

TEST(GenerateDocuments, ABeamWritesEndedTexts) {
    TemporaryFolder folder;
    std::string text;
    for (int i = 0; i < 400; ++i) text += i % 3 ? "aba\n" : "abc\n";
    const std::string config = testing::tiny_config(folder), file = folder.write("text.txt", text);
    ASSERT_EQ(run({"data", "train-tokenizer", file, "--size", "300", "--out", folder.file("bpe.json")}).code, 0);
    ASSERT_EQ(
        run({"train", config, "--run", folder.file("run"), "--max-steps", "100", "-q", "--set", "data.documents=line",
             "--set", "data.order=documents", "--set", "data.tokenizer=" + folder.file("bpe.json")})
            .code,
        0);
    const auto json =
        run({"generate", folder.file("run"), "--prompt", "", "--beam", "4", "--samples", "2", "--json"}).json();
    ASSERT_EQ(json["texts"].size(), 2u) << json;
    EXPECT_GE(json["texts"][0]["score"], json["texts"][1]["score"]);
    EXPECT_EQ(json["texts"][0]["text"], "aba");
    EXPECT_EQ(json["texts"][0]["ending"], "end");
    EXPECT_EQ(run({"generate", folder.file("run"), "--prompt", "", "--temperature", "0"}).out, "aba\n")
        << "the end token is no text";
    const auto told =
        run({"generate", folder.file("run"), "--prompt", "", "--temperature", "0", "--logprobs", "1", "--json"}).json();
    EXPECT_EQ(told["ending"], "end");
    EXPECT_LE(told["end_log_p"].get<double>(), 0);
    EXPECT_FAILS(run({"generate", folder.file("run"), "--beam", "2", "--samples", "3"}), 2, "at most so many texts");
}

}  // namespace
}  // namespace lithe

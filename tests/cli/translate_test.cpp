// A run on pairs as a user has it: train, eval with BLEU, translate, the page.
#include <fstream>

#include "lithe/score/bleu.h"
#include "support/files.h"
#include "support/program.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;

class Translating : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        folder_ = new TemporaryFolder();
        for (const char* name : {"train", "valid"}) {
            std::string source, target;
            for (int i = 0; i < 200; ++i) {
                const std::string line = std::string(size_t(1 + i % 3), char('a' + i % 5)) + " x y z";
                source += line + "\n";
                target += "<" + line + ">\n";
            }
            folder_->write(std::string(name) + ".x", source);
            folder_->write(std::string(name) + ".y", target);
        }
        const std::string config = folder_->write(
            "pairs.toml",
            "[model]\nwidth = 32\nheads = 2\nlayout = \"scf\"\npositions = \"sinusoidal\"\n[model.encoder]\nlayout = "
            "\"sf\"\n[objective]\nname = \"translate\"\nbleu_tokens = \"none\"\n[data]\ntrain = \"" +
                folder_->file("train.x") + "\"\nvalid = \"" + folder_->file("valid.x") +
                "\"\nparallel = \".y\"\n[optimizer]\nname = \"adamw\"\nlearning_rate = 0.01\n[schedule]\n"
                "name = \"constant\"\n[train]\nbatch = 16\nlength = 16\nthreads = 1\nprecision = \"fp32\"\n"
                "[evaluation]\nbytes = 0\n[sample]\npairs = 50\n");
        ASSERT_EQ(run({"train", config, "--run", path(), "--max-steps", "250", "-q"}).code, 0);
    }
    static void TearDownTestSuite() { delete folder_; }
    static std::string path() { return folder_->file("run"); }
    static TemporaryFolder* folder_;
};
TemporaryFolder* Translating::folder_ = nullptr;

TEST_F(Translating, EvalGivesLossAndScoresOfWhatIsWritten) {
    const auto json = run({"eval", path(), "--json"}).json();
    EXPECT_GT(json["loss"].get<double>(), 0);
    ASSERT_EQ(json["written"]["texts"], 200);
    EXPECT_EQ(json["written"]["beam"], 5);
    const auto& scores = json["written"]["scores"];
    EXPECT_EQ(scores[0]["name"], "bleu");
    EXPECT_GT(scores[0]["value"].get<double>(), 30);
    EXPECT_EQ(scores[0]["signature"], bleu_signature(BleuTokens::none));
    EXPECT_EQ(scores[1]["name"], "chrf");
    EXPECT_NE(run({"eval", path()}).out.find("BLEU of 200 texts, beam 5, nrefs:1|case:mixed|eff:no|tok:none"),
              std::string::npos);
    EXPECT_FALSE(run({"eval", path(), "--beam", "0", "--json"}).json().contains("written"));
}

TEST_F(Translating, TranslatesAFileLineByLine) {
    const auto json = run({"eval", path(), "--json"}).json();
    const auto result = run({"translate", path(), "--in", folder_->file("valid.x"), "--reference",
                             folder_->file("valid.y"), "--bleu-tokens", "none", "--json"})
                            .json();
    ASSERT_EQ(result["translations"].size(), 200u);
    EXPECT_NEAR(result["scores"][0]["value"].get<double>(), json["written"]["scores"][0]["value"].get<double>(), 1e-9);
    const auto plain = run({"translate", path(), "--in", folder_->write("in.txt", "a x y z\r\nbb x y z")});
    EXPECT_EQ(std::count(plain.out.begin(), plain.out.end(), '\n'), 2) << plain.out;
    EXPECT_EQ(plain.out.substr(0, plain.out.find('\n')), result["translations"][0]["text"]);
}

// As training reads them.
TEST_F(Translating, FilesOfOtherEncodingsAreTheSameText) {
    const auto plain = run({"translate", path(), "--in", folder_->write("plain.txt", "a x y z\nbb x y z\n")});
    const std::string wide(
        "\xff\xfe"
        "a\0 \0x\0 \0y\0 \0z\0\n\0"
        "b\0b\0 \0x\0 \0y\0 \0z\0\n\0",
        36);
    EXPECT_EQ(run({"translate", path(), "--in", folder_->write("wide.txt", wide)}).out, plain.out);
    EXPECT_EQ(run({"translate", path(), "--in",
                   folder_->write("mark.txt",
                                  "\xef\xbb\xbf"
                                  "a x y z\nbb x y z\n")})
                  .out,
              plain.out);
}

TEST_F(Translating, EvalRefusesWhatWouldDoNothing) {
    for (const std::vector<std::string>& flag :
         {std::vector<std::string>{"--memory", "4"}, {"--lead", "4"}, {"--mask", "causal"}, {"--clamp-length", "4"}}) {
        std::vector<std::string> command = {"eval", path()};
        command.insert(command.end(), flag.begin(), flag.end());
        EXPECT_FAILS(run(command), 2, "no effect on a model of objective");
    }
}

TEST_F(Translating, SaysWhatIsWrongWithItsFiles) {
    const std::string in = folder_->write("three.txt", "a x y z\n\nb x y z\n");
    EXPECT_FAILS(run({"translate", path(), "--in", in}), 2, "three.txt, line 2");
    EXPECT_EQ(run({"translate", path(), "--in", in, "--keep-empty"}).code, 0);
    EXPECT_FAILS(run({"translate", path(), "--in", folder_->file("valid.x"), "--reference", in}), 2, "got 3");
    EXPECT_FAILS(run({"translate", path(), "--in", folder_->file("none")}), 3, "none");
    EXPECT_FAILS(run({"translate", path(), "--in", "-", "--reference", "-"}), 2, "standard input is one text");
    EXPECT_FAILS(run({"translate", path(), "--in", folder_->write("empty.txt", "")}), 2, "no line to translate");
    EXPECT_FAILS(run({"generate", path(), "--prompt", "a"}), 2, "lithe translate");
    TemporaryFolder other;
    other.write("t.x", "a\nb\n");
    other.write("t.y", "a\n");
    EXPECT_FAILS(run({"eval", path(), "--data", other.file("t.x")}), 3, "t.y");
}

TEST_F(Translating, ThePageShowsScoresAndExamples) {
    const std::string page = testing::read_all(path() + "/report.html");
    EXPECT_NE(page.find("of 50 pairs of validation"), std::string::npos);
    EXPECT_NE(page.find("tok:none"), std::string::npos);
    EXPECT_NE(page.find("Training loss in nats"), std::string::npos) << "a smoothed loss is no bits per byte";
    EXPECT_NE(page.find("reference</span> &lt;a x y z&gt;<br>"), std::string::npos);
}

}  // namespace
}  // namespace lithe

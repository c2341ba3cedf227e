// A look inside a run, as a user has it.
#include "support/files.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;

class Inspecting : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        folder_ = new TemporaryFolder();
        for (const char* seed : {"1", "2"}) {
            const auto made = run({"train", testing::tiny_config(*folder_), "--run", path(seed), "--max-steps", "10",
                                   "--set", "train.seed=" + std::string(seed), "-q"});
            ASSERT_EQ(made.code, 0) << made.err;
        }
    }
    static void TearDownTestSuite() { delete folder_; }
    static std::string path(const std::string& seed) { return folder_->file("run" + seed); }
    static testing::ProgramResult inspect(std::vector<std::string> more) {
        std::vector<std::string> command = {"inspect",     path("1"), "--html",    folder_->file("page.html"),
                                            "--positions", "8",       "--context", "32",
                                            "--step",      "8",       "--threads", "1"};
        command.insert(command.end(), more.begin(), more.end());
        return run(command);
    }
    static std::string page() { return testing::read_all(folder_->file("page.html")); }
    static TemporaryFolder* folder_;
};
TemporaryFolder* Inspecting::folder_ = nullptr;

TEST_F(Inspecting, WritesAPageOfOneRun) {
    const auto result = inspect({"--text", "the <old> house & the sea", "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    const auto json = result.json();
    EXPECT_EQ(json["tokens"], 25);
    EXPECT_EQ(json["maps"].size(), 2u) << json.dump(1);
    EXPECT_GE(json["states"].size(), 1u);
    EXPECT_GE(json["gradients"].size(), 4u);
    EXPECT_EQ(json["runs"][0]["effective"].size(), 3u);
    const std::string html = page();
    for (const char* part :
         {"Who reads whom", "What recurrences keep", "How far back", "Gradients", "data:image/bmp", "head 2", "&lt;"})
        EXPECT_NE(html.find(part), std::string::npos) << part;
    EXPECT_EQ(html.find("<old>"), std::string::npos);
}

TEST_F(Inspecting, ComparesContextsOfSeveral) {
    const auto result = inspect({path("2") + "@best"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.out.find("run2@best"), std::string::npos) << result.out;
    EXPECT_EQ(page().find("Who reads whom"), std::string::npos);
}

TEST_F(Inspecting, WrongInputIsToldInASentence) {
    EXPECT_NE(inspect({"--text", "x"}).err.find("there is nothing to see"), std::string::npos);
    const auto far =
        run({"inspect", path("1"), "--html", folder_->file("page.html"), "--context", "32", "--step", "20"});
    EXPECT_NE(far.err.find("two lengths of context"), std::string::npos) << far.err;
    EXPECT_NE(inspect({"--data", folder_->write("short.txt", "a short text")}).err.find("looked at in one piece"),
              std::string::npos);
    folder_->write("page.html", "somebody's own");
    const auto foreign = inspect({});
    EXPECT_NE(foreign.code, 0);
    EXPECT_EQ(page(), "somebody's own");
    std::filesystem::remove(folder_->file("page.html"));
}

}  // namespace
}  // namespace lithe

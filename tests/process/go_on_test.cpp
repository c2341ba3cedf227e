// The command that an interrupted run prints, run as printed, from another folder.
#include <nlohmann/json.hpp>

#include "lithe/model/checkpoint.h"
#include "support/process.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::essence;
using testing::finish;
using testing::read_all;
using testing::TemporaryFolder;
using testing::tiny_config;
using testing::wait_for_step;

// As `start`, in a folder.
pid_t start_in(const std::string& folder, const std::vector<std::string>& arguments, const std::string& log) {
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(folder);
    const pid_t child = testing::start(arguments, log);
    std::filesystem::current_path(before);
    return child;
}

// The last line "resume     COMMAND" of a log.
std::string printed_command(const std::string& log) {
    const std::string text = read_all(log), begin = "resume     ";
    const size_t at = text.rfind(begin);
    if (at == std::string::npos) return "false";
    return text.substr(at + begin.size(), text.find('\n', at) - at - begin.size());
}

// The exit code of a command line whose `lithe` is the program under test, in the root folder.
int run_as_printed(const std::string& command, const std::string& log) {
    const std::string script =
        "cd / && lithe() { \"$PROGRAM\" \"$@\"; } && " + command + " >/dev/null 2>>'" + log + "'";
    setenv("PROGRAM", LITHE_PROGRAM, 1);
    return WEXITSTATUS(std::system(script.c_str()));
}

// Settings and budgets of the command, a run folder with a space, everything relative to the current folder.
TEST(GoOn, ThePrintedCommandGoesOnToTheSameBits) {
    for (const char* budget : {"--max-steps", "--max-tokens"}) {
        TemporaryFolder folder;
        tiny_config(folder);
        const std::string log = folder.file("log");
        auto arguments = [&](const std::string& run) {
            return std::vector<std::string>{"train", "tiny.toml",
                                            "--run", run,
                                            budget,  budget == std::string("--max-steps") ? "900" : "28800",
                                            "--set", "optimizer.learning_rate=2e-2",
                                            "--set", "schedule.name=cosine",
                                            "--set", "data.path=text.txt"};
        };
        ASSERT_EQ(finish(start_in(folder.path(), arguments("whole"), folder.file("log-whole"))), 0);
        for (const long long step : {100, 300}) {  // the second time the printed command itself is interrupted
            const std::string command = printed_command(log);
            pid_t child = step == 100 ? start_in(folder.path(), arguments("it's my run"), log)
                                      : start_in("/", {"train", folder.file("it's my run")}, log);
            EXPECT_EQ(step == 300, command == "lithe train '" + folder.path() + "/it'\\''s my run'") << command;
            wait_for_step(folder.file("it's my run"), step, child);
            kill(child, SIGINT);
            ASSERT_EQ(finish(child), 75) << read_all(log);
        }
        ASSERT_EQ(run_as_printed(printed_command(log), log), 0) << read_all(log);
        EXPECT_TRUE(essence(folder.file("whole")) == essence(folder.file("it's my run"))) << budget;
    }
}

TEST(GoOn, ATimedRunOfATextHasWhatIsLeft) {
    TemporaryFolder folder;
    folder.write("text.txt", testing::sample_text(600'000));
    const std::string log = folder.file("log");
    pid_t child = start_in(folder.path(),
                           {"train", "text.txt", "--max-time", "6s", "--max-memory", "300M", "--set",
                            "train.log_every=1", "--set", "train.threads=1"},
                           log);
    wait_for_step(folder.file("runs/text"), 10, child);
    kill(child, SIGINT);
    ASSERT_EQ(finish(child), 75) << read_all(log);
    const std::string plan = read_all(folder.file("runs/text/plan.json"));
    ASSERT_EQ(run_as_printed(printed_command(log), log), 0) << read_all(log);
    EXPECT_EQ(plan, read_all(folder.file("runs/text/plan.json")));
    const auto all = list_checkpoints(folder.file("runs/text"));
    const double seconds = nlohmann::json::parse(read_all(all[0].folder + "/state.json"))["train_seconds"];
    EXPECT_GT(seconds, 5);
    EXPECT_LT(seconds, 9);
}

TEST(GoOn, ASearchPrintsACommandToo) {
    TemporaryFolder folder;
    tiny_config(folder);
    const std::string log = folder.file("log");
    pid_t child = start_in(folder.path(),
                           {"search", "tiny.toml", "--run", "my search", "--max-steps", "4000", "--set",
                            "model.layout=u?{s f}f", "--set", "search.settled=0", "--set", "data.path=text.txt"},
                           log);
    wait_for_step(folder.file("my search/supernet"), 20, child);
    kill(child, SIGINT);
    ASSERT_EQ(finish(child), 75) << read_all(log);
    const std::string command = printed_command(log);
    ASSERT_EQ(run_as_printed(command + " --max-steps 60", log), 0) << command << read_all(log);
    EXPECT_TRUE(std::filesystem::exists(folder.file("my search/found.toml")));
}

}  // namespace
}  // namespace lithe

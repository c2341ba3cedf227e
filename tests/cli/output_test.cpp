// What is printed is a result: a full disk behind standard output is an error, whatever the command.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "lithe/base/error.h"
#include "lithe/cli/exit_code.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::read_all;
using testing::TemporaryFolder;

// The exit code of the program in a shell.
int shell(const std::string& arguments) {
    const int status = std::system((std::string("'") + LITHE_PROGRAM + "' " + arguments).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Output, AFullDiskIsToldByEveryCommand) {
    const TemporaryFolder folder;
    const std::string run = folder.file("run"), config = testing::tiny_config(folder);
    ASSERT_EQ(shell("train '" + config + "' --run '" + run + "' -q --set train.max_steps=2 >/dev/null"), 0);
    const std::string tokenizer = folder.write("t.json", R"({"kind":"bytes","bytes":[97,98]})");
    const std::string text = folder.write("t.txt", "abba"), ids = folder.write("t.ids", "0 1 1\n");
    const std::string commands[] = {
        "data encode '" + tokenizer + "' '" + text + "'",
        "data decode '" + tokenizer + "' '" + ids + "'",
        "data get",
        "eval '" + run + "' --json",
        "eval '" + run + "'",
        "generate '" + run + "' --tokens 5",
        "generate '" + run + "' --tokens 5 --no-stream",
        "compare '" + run + "'",
        "train '" + config + "' --run '" + run + "2' --print-config",
        "train '" + config + "' --run '" + run + "' --max-steps 2 --json -q",
        "info",
        "info '" + run + "'",
        "info --json",
        "--help",
        "train --help",
        "--version",
    };
    const std::string log = folder.file("log");
    for (const std::string& command : commands) {
        SCOPED_TRACE(command);
        EXPECT_EQ(shell(command + " >/dev/full 2>'" + log + "'"), int(ExitCode::resources));
        EXPECT_NE(read_all(log).find("cannot write to standard output: No space left"), std::string::npos)
            << read_all(log);
    }
    EXPECT_EQ(shell("info >&- 2>'" + log + "'"), int(ExitCode::failed));
    EXPECT_NE(read_all(log).find("cannot write to standard output"), std::string::npos);
}

TEST(Output, AReaderThatWentAwayNeedsNoWords) {
    const TemporaryFolder folder;
    const std::string log = folder.file("log");
    const int status = std::system(
        ("bash -c \"set -o pipefail; '" + std::string(LITHE_PROGRAM) + "' info 2>'" + log + "' | true\"").c_str());
    EXPECT_TRUE(WEXITSTATUS(status) == int(ExitCode::failed) || WEXITSTATUS(status) == 0);  // read before it went
    EXPECT_EQ(read_all(log).find("error"), std::string::npos) << read_all(log);
}

}  // namespace
}  // namespace lithe

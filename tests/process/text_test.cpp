// Texts that change under a run.
#include <sys/stat.h>

#include "lithe/base/file.h"
#include "lithe/base/mapping.h"
#include "lithe/model/checkpoint.h"
#include "support/process.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::finish;
using testing::read_all;
using testing::run;
using testing::start;
using testing::TemporaryFolder;
using testing::tiny_config;
using testing::wait_for_step;

TEST(Text, CutOffWhileItIsTrainedOnIsTold) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder), log = folder.file("log"), text = read_all(folder.file("text.txt"));
    for (const off_t left : {0, 10'000}) {
        const std::string path = folder.file("run" + std::to_string(left));
        const std::vector<std::string> arguments = {"train", config, "--run", path, "--max-steps"};
        auto with = [&](const char* steps) {
            auto all = arguments;
            all.push_back(steps);
            return all;
        };
        pid_t child = start(with("1000000"), log);
        wait_for_step(path, 20, child);
        ASSERT_EQ(truncate(folder.file("text.txt").c_str(), left), 0);
        EXPECT_EQ(finish(child), 3) << read_all(log);
        EXPECT_NE(read_all(log).find("was cut off"), std::string::npos) << read_all(log);
        EXPECT_NE(read_all(log).find(folder.file("text.txt")), std::string::npos) << read_all(log);
        folder.write("text.txt", text);
        const auto saved = list_checkpoints(path);
        const int64_t step = saved.empty() ? 0 : saved[0].step;
        EXPECT_EQ(run(with(std::to_string(step + 5).c_str()), log), 0) << read_all(log);
    }
}

// Where the file is cut off between the look at its size and the reading.
TEST(Text, ABusErrorOfAMappedFileIsToldInWords) {
    TemporaryFolder folder;
    const std::string text = folder.write("text.txt", std::string(100'000, 'x')), log = folder.file("log");
    const pid_t child = fork();
    if (child == 0) {
        if (!freopen(log.c_str(), "a", stderr)) _exit(99);
        watch_mappings();
        const MappedFile file(text);
        if (truncate(text.c_str(), 10) != 0) _exit(98);
        const volatile std::byte last = file.bytes()[90'000];
        _exit(last == std::byte(0) ? 97 : 96);
    }
    EXPECT_EQ(finish(child), 3);
    EXPECT_NE(read_all(log).find(text), std::string::npos) << read_all(log);
}

TEST(Text, RewrittenBetweenStopAndResumeIsRefused) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder), log = folder.file("log"), path = folder.file("run");
    // larger than the three samples that were compared once
    std::string text = testing::sample_text(200'000);
    folder.write("text.txt", text);
    ASSERT_EQ(run({"train", config, "--run", path, "--max-steps", "10", "-q"}, log), 0) << read_all(log);
    text[50'000] = '#';
    folder.write("text.txt", text);
    EXPECT_EQ(run({"train", config, "--run", path, "--max-steps", "20", "-q"}, log), 2);
    EXPECT_NE(read_all(log).find("the data is not what it was"), std::string::npos) << read_all(log);
}

}  // namespace
}  // namespace lithe

#include "lithe/train/progress_record.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstring>

#include "lithe/train/run_folder.h"
#include "support/files.h"

namespace lithe {
namespace {

using testing::read_all;
using testing::TemporaryFolder;

std::vector<double> entries(const std::string& path) {
    const std::string bytes = read_all(path);
    std::vector<double> numbers(bytes.size() / sizeof(double));
    std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
    return numbers;
}

// While it lives no file grows beyond `bytes`, as on a full disk.
class FullDisk {
 public:
    explicit FullDisk(rlim_t bytes) {
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit now{bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &now);
    }
    ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

 private:
    rlimit before_{};
};

TEST(ProgressRecord, WhatAFullDiskRefusedStandsAtItsPlaceLater) {
    TemporaryFolder folder;
    const std::string path = folder.file("progress.f64");
    ProgressRecord record;
    record.start(path);
    for (int64_t step = 0; step < 4; ++step) EXPECT_EQ(record.at(step, double(step) / 2), double(step) / 2);
    {
        const FullDisk full(4 * sizeof(double) + 3);  // torn in the middle of an entry
        for (int64_t step = 4; step < 7; ++step) record.at(step, double(step) / 2);
    }
    EXPECT_EQ(record.at(7, 3.5), 3.5);
    EXPECT_EQ(entries(path), (std::vector<double>{0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5}));
    // a later start replays it from wherever it goes on
    ProgressRecord again;
    again.go_on(path, 5, 2.5);
    EXPECT_EQ(again.at(5, 99), 2.5);
    EXPECT_EQ(again.at(6, 99), 3);
    EXPECT_EQ(again.at(8, 99), 99);
}

TEST(ProgressRecord, ARecordWithoutItsLastEntriesIsFilledUpAtTheRightPlaces) {
    TemporaryFolder folder;
    const std::string path = folder.file("progress.f64");
    ProgressRecord record;
    record.start(path);
    for (int64_t step = 0; step < 3; ++step) record.at(step, double(step));
    ProgressRecord later;  // the checkpoint is of step 6
    later.go_on(path, 6, 6);
    later.at(6, 6);
    ASSERT_EQ(entries(path).size(), 7u);
    EXPECT_EQ(entries(path)[6], 6);
    ProgressRecord earlier;
    earlier.go_on(path, 2, 2);
    EXPECT_EQ(earlier.at(2, 2), 2);
    EXPECT_EQ(earlier.at(3, 3.25), 3.25) << "not recorded: the clock's";
    EXPECT_EQ(earlier.at(6, 99), 6);
}

// Without a record rates may be other ones from now on, and that is said.
TEST(ProgressRecord, ARecordThatIsEmptyOrGoneIsTold) {
    TemporaryFolder folder;
    for (const std::string& path : {folder.write("progress.f64", ""), folder.file("none.f64")}) {
        ProgressRecord record;
        ::testing::internal::CaptureStderr();
        record.go_on(path, 0, 0);
        EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << path;
        ::testing::internal::CaptureStderr();
        record.go_on(path, 3, 3);
        EXPECT_NE(::testing::internal::GetCapturedStderr().find("lacks the steps before"), std::string::npos) << path;
    }
}

// As a failed append left it before: every entry behind it one step early.
TEST(ProgressRecord, AShiftedRecordIsNotReplayed) {
    TemporaryFolder folder;
    const double shifted[] = {0, 1, 3, 4, 5};
    const std::string path =
        folder.write("progress.f64", std::string(reinterpret_cast<const char*>(shifted), sizeof shifted));
    ProgressRecord record;
    record.go_on(path, 3, 3);
    EXPECT_EQ(record.at(3, 3), 3);
    EXPECT_EQ(record.at(4, 4.5), 4.5);
}

// A line that a full disk tore must not run into the next one.
TEST(RunFolder, ATornLineIsTakenBack) {
    TemporaryFolder folder;
    RunFolder run(folder.file("run"));
    const std::string metrics = folder.file("run") + "/metrics.jsonl";
    run.metrics({{"step", 1}, {"loss", 2.5}});
    const std::string first = read_all(metrics);
    {
        const FullDisk full(first.size() + 7);
        run.metrics({{"step", 2}, {"loss", 2.25}});
    }
    EXPECT_EQ(read_all(metrics), first);
    run.metrics({{"step", 3}, {"loss", 2}});
    EXPECT_EQ(read_all(metrics), first + "{\"step\":3,\"loss\":2}\n");
}

// A kill may come between a line and its end.
TEST(RunFolder, ALineWithoutAnEndGetsOne) {
    TemporaryFolder folder;
    folder.write("run/metrics.jsonl", "{\"step\":1}\n{\"step\":2}");
    RunFolder run(folder.file("run"));
    run.cut_back(2);
    run.metrics({{"step", 3}});
    EXPECT_EQ(read_all(folder.file("run") + "/metrics.jsonl"), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
}

}  // namespace
}  // namespace lithe

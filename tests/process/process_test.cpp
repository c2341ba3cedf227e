// Nothing is lost: runs that are signalled, killed and starved of disk space, in processes of their own. The runs use
// one thread, so that this process may fork at any time.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "lithe/base/error.h"
#include "lithe/cli/exit_code.h"
#include "lithe/model/checkpoint.h"
#include "support/process.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::essence;
using testing::finish;
using testing::logged_step;
using testing::read_all;
using testing::run;
using testing::sleep_ms;
using testing::start;
using testing::TemporaryFolder;
using testing::tiny_config;
using testing::wait_for_step;
using testing::wait_until;

struct Exact {
    const char* name;
    std::vector<std::string> sets;
};

class ExactResume : public ::testing::TestWithParam<int> {};

const Exact kExact[] = {
    {"fp32", {"train.precision=fp32"}},
    {"bf16", {"train.precision=bf16"}},
    {"accumulation", {"train.precision=fp32", "train.accumulation=3"}},
    {"schedule", {"train.precision=fp32", "schedule.name=cosine", "optimizer.name=radam"}},
    {"muon",
     {"train.precision=bf16", "optimizer.name=muon", "model.ngrams.lengths=2-4", "model.ngrams.rows=500",
      "schedule.name=wsd", "optimizer.lookahead_steps=6"}},
    {"parts",
     {"train.precision=bf16", "train.threads=2", "train.batch=5", "optimizer.name=muon", "model.ngrams.lengths=2-3",
      "model.ngrams.rows=500"}},
    {"layer_drop",
     {"train.precision=bf16", "model.layout=(sf)x3", "layer_drop.method=progressive", "layer_drop.gamma=0.05",
      "layer_drop.moments=hold", "model.positions=relative", "train.accumulation=2"}},
    {"together",
     {"train.precision=bf16", "model.layout=(se)x3", "blocks.e.kind=moe", "blocks.e.experts=4",
      "layer_drop.method=progressive", "layer_drop.gamma=0.05", "train.recompute=uniform:2"}},
    {"reversible",
     {"train.precision=bf16", "model.layout=~(se)x3", "blocks.e.kind=moe", "blocks.e.experts=3", "blocks.e.top=2",
      "layer_drop.method=layerdrop", "layer_drop.keep=0.8", "train.parts=2"}},
    {"average", {"train.precision=bf16", "optimizer.average=0.95", "evaluation.every=50"}},
    {"projections", {"train.precision=bf16", "model.memory_form=projections"}},
    {"supernet",
     {"train.precision=bf16", "model.layout=?{s f -}?{u f}", "search.supernet=true", "search.period=10",
      "search.warmup=0.1", "search.settled=0", "search.sampling=straight_through"}},
    {"masked",
     {"train.precision=fp32", "model.layout=(sf)x2", "model.memory=0", "model.direction=bidirectional",
      "model.positions=learned", "model.head=transform", "objective.name=masked"}},
    {"evaluation", {"train.precision=fp32", "evaluation.every=7"}},
    {"documents", {"train.precision=fp32", "data.order=documents", "data.documents=line"}},
    {"single_rows", {"train.precision=fp32", "data.order=documents", "data.documents=line", "data.rows=single"}},
};

// Stopped by a signal at several steps (the corpus has 140 segments an epoch, so the runs cross epochs), then
// resumed: the same bits as an unbroken run.
TEST_P(ExactResume, EqualsTheUnbrokenRun) {
    const Exact& which = kExact[GetParam()];
    TemporaryFolder folder;
    setenv("XDG_CACHE_HOME", folder.file("cache").c_str(), 1);
    std::string config = tiny_config(folder), log = folder.file("log");
    auto arguments = [&](const std::string& run) {
        std::vector<std::string> list = {"train", config, "--run", run, "--max-steps", "900", "-q"};
        for (const std::string& set : which.sets) {
            list.push_back("--set");
            list.push_back(set);
        }
        return list;
    };
    ASSERT_EQ(run(arguments(folder.file("whole")), log), 0) << read_all(log);
    // stopped where the log has reached these steps, and so wherever in a step, an epoch or a save that happens to be
    int stops = 0;
    for (long long at : {3, 50, 137, 190, 281, 400}) {
        pid_t child = start(arguments(folder.file("broken")), log);
        wait_for_step(folder.file("broken"), at, child);
        kill(child, stops % 3 == 0 ? SIGINT : SIGTERM);
        int code = finish(child);
        if (code == 0) break;  // a slow poll: it came to its end
        ASSERT_EQ(code, 75) << read_all(log);
        ++stops;
    }
    ASSERT_EQ(run(arguments(folder.file("broken")), log), 0) << read_all(log);
    EXPECT_GE(stops, 2) << "the run was too short to be stopped";
    EXPECT_TRUE(essence(folder.file("whole")) == essence(folder.file("broken"))) << which.name;
}

INSTANTIATE_TEST_SUITE_P(Settings, ExactResume, ::testing::Range(0, int(std::size(kExact))),
                         [](const auto& which) { return std::string(kExact[which.param].name); });

// kill -9 at 200 random moments; after each the run resumes, never from before the last completed save.
TEST(Kill9, TwoHundredTimesLosesNothing) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder), log = folder.file("log"), path = folder.file("run");
    std::vector<std::string> endless = {"train",       config,
                                        "--run",       path,
                                        "--max-steps", "1000000",
                                        "--set",       "checkpoint.every=3",
                                        "--set",       "evaluation.every=10",
                                        "--set",       "train.precision=fp32",
                                        "-q"};
    std::mt19937 random(20250101);
    auto latest = [&] {
        return std::filesystem::exists(path + "/latest") ? std::stoll(read_all(path + "/latest").substr(5)) : 0;
    };
    for (int round = 0; round < 200; ++round) {
        const long long logged = logged_step(path);
        pid_t child = start(endless, log);
        // every fourth while it starts, the others some steps later; wherever in a step or a save that is
        if (round % 4 != 0) wait_for_step(path, logged + 1 + (long long)(random() % 8), child);
        sleep_ms(int(random() % 20));
        ASSERT_EQ(kill(child, SIGKILL), 0);
        ASSERT_EQ(finish(child), -SIGKILL) << "the run ended by itself: " << read_all(log);
        long long saved = latest();
        if (saved == 0) continue;
        bool found = false;
        for (const CheckpointPlace& place : list_checkpoints(path)) {
            ASSERT_NO_THROW(verify_checkpoint(place.folder)) << "round " << round;
            found = found || place.step >= saved;
        }
        ASSERT_TRUE(found) << "round " << round << ": no checkpoint as new as the last completed save, step " << saved;
    }
    long long reached = latest();
    EXPECT_GT(reached, 100);
    // the survivor equals a run that was never touched
    auto until = [&](const std::string& run) {
        return std::vector<std::string>{"train",       config,
                                        "--run",       run,
                                        "--max-steps", std::to_string(reached + 5),
                                        "--set",       "checkpoint.every=0",
                                        "--set",       "evaluation.every=10",
                                        "--set",       "train.precision=fp32",
                                        "-q"};
    };
    ASSERT_EQ(run(until(path), log), 0) << read_all(log);
    ASSERT_EQ(run(until(folder.file("whole")), log), 0) << read_all(log);
    EXPECT_TRUE(essence(path) == essence(folder.file("whole")));
    // metrics: every step once, in order
    std::istringstream lines(read_all(path + "/metrics.jsonl"));
    long long before = 0;
    for (std::string line; std::getline(lines, line);) {
        auto json = nlohmann::json::parse(line, nullptr, false);
        ASSERT_FALSE(json.is_discarded());
        if (json.contains("valid")) continue;
        EXPECT_EQ(json["step"].get<long long>(), before + 1);
        before = json["step"];
    }
}

TEST(Signals, StopInEveryPhaseIsCode75AndUsr1Saves) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder), log = folder.file("log");
    // a long evaluation and a long sample, to be interrupted in
    for (const char* set : {"evaluation.every=1", "sample.tokens=100000", "train.max_steps=1000000"}) {
        std::string path = folder.file(std::string("r-") + set);
        pid_t child = start({"train", config, "--run", path, "--max-steps", "1000000", "--set", set, "--set",
                             "sample.every=1", "--set", "evaluation.bytes=0", "-q"},
                            log);
        wait_for_step(path, 1, child);  // then it evaluates, writes its sample, or goes on
        EXPECT_EQ(kill(child, SIGUSR1), 0);
        if (set == std::string("train.max_steps=1000000"))
            wait_until(child, "a checkpoint", [&] { return std::filesystem::exists(path + "/latest"); });
        EXPECT_EQ(kill(child, SIGTERM), 0);
        EXPECT_EQ(finish(child), 75) << set << read_all(log);
        EXPECT_FALSE(list_checkpoints(path).empty());
    }
    pid_t child = start({"train", config, "--run", folder.file("twice"), "--max-steps", "1000000", "--set",
                         "train.batch=100", "--set", "train.length=90", "--set", "train.accumulation=500", "-q"},
                        log);
    // its first step is a long one; signals that come together are one
    wait_until(child, "the start", [&] { return std::filesystem::exists(folder.file("twice/run.json")); });
    wait_until(child, "the end", [&] {
        kill(child, SIGINT);
        return false;
    });
    EXPECT_EQ(finish(child), 130) << "interrupted twice";
}

// oneDNN's fp32 product keeps the stack pointer in heap memory for a while: a signal's frame must not land there.
TEST(Signals, ThousandsInTheMiddleOfProductsHarmNothing) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder), log = folder.file("log");
    pid_t child = start(
        {"train", config, "--run", folder.file("run"), "--max-steps", "1000000", "--set", "train.precision=fp32", "-q"},
        log);
    wait_for_step(folder.file("run"), 3, child);
    for (int i = 0; i < 5000; ++i, usleep(200)) kill(child, SIGUSR1);
    kill(child, SIGTERM);
    EXPECT_EQ(finish(child), 75) << read_all(log);
}

// A stop in the middle of the last evaluation: the resumed run evaluates, and its checkpoint says so.
TEST(Resume, AnEvaluationMadeUpForIsKept) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder), log = folder.file("log"), path = folder.file("run");
    std::vector<std::string> arguments = {"train", config, "--run", path, "--max-steps", "20", "-q"};
    ASSERT_EQ(run(arguments, log), 0) << read_all(log);
    const std::string place = list_checkpoints(path)[0].folder;
    auto state = nlohmann::ordered_json::parse(read_all(place + "/state.json"));
    state["evaluation"]["step"] = -1;
    state["evaluation"]["evaluations"] = 0;
    state["evaluation"]["best_score"] = 0.5;  // so that it is not the best again
    write_checkpoint(place, {read_tensors(place + "/model.safetensors"), read_tensors(place + "/optimizer.safetensors"),
                             state.dump(), read_all(place + "/config.json"), read_all(place + "/tokenizer.json")});
    ASSERT_EQ(run(arguments, log), 0) << read_all(log);
    auto after = nlohmann::json::parse(read_all(list_checkpoints(path)[0].folder + "/state.json"));
    EXPECT_EQ(after["evaluation"]["step"], 20);
    EXPECT_EQ(after["evaluation"]["evaluations"], 1);
}

TEST(Lock, TwoTrainersCannotShareARun) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder), log = folder.file("log"), second = folder.file("second");
    pid_t child = start({"train", config, "--run", folder.file("run"), "--max-steps", "1000000", "-q"}, log);
    wait_for_step(folder.file("run"), 1, child);
    EXPECT_EQ(run({"train", config, "--run", folder.file("run"), "--max-steps", "5", "-q"}, second), 1);
    EXPECT_NE(read_all(second).find("two trainers cannot share a run folder"), std::string::npos);
    kill(child, SIGTERM);
    EXPECT_EQ(finish(child), 75);
}

TEST(Folder, ReadOnlyIsToldNotCrashed) {
    if (geteuid() == 0) GTEST_SKIP() << "root writes everywhere; run as another user to see this one";
    TemporaryFolder folder;
    std::string config = tiny_config(folder), log = folder.file("log");
    std::filesystem::permissions(folder.path(),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    EXPECT_EQ(run({"train", config, "--run", folder.file("run"), "--max-steps", "5", "-q"}, "/dev/null"), 1);
    std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

std::string folder_content(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        files[entry.path().filename().string()] = read_all(entry.path().string());
    std::string all;
    for (const auto& [name, content] : files) all += name + ":" + std::to_string(content.size()) + ":" + content;
    return all;
}

// kill -9 while a corpus is prepared: each start goes on from the last durable round, to the bytes of an unbroken one.
TEST(Kill9, PrepareMakesTheSameBytes) {
    TemporaryFolder folder;
    std::string text, log = folder.file("log"), broken = folder.file("broken");
    for (int i = 0; i < 150'000; ++i) text += "line " + std::to_string(i) + " of a text that is prepared\n";
    folder.write("text.txt", text);
    auto arguments = [&](const std::string& out) {
        return std::vector<std::string>{
            "data",  "prepare", folder.file("text.txt"), "--out",   out,    "--documents", "line", "--tokenizer",
            "words", "--split", "documents 90/5/5",      "--shard", "200k", "-q"};
    };
    ASSERT_EQ(run(arguments(folder.file("whole")), log), 0) << read_all(log);
    int kills = 0, code = 1;
    for (int wait = 5; code != 0 && kills < 500; wait += 7) {
        pid_t child = start(arguments(broken), log);
        sleep_ms(wait);
        kill(child, SIGKILL);
        code = finish(child);
        // the kill before this one may have come between the seal and the process's end
        if (code == int(ExitCode::usage) && read_all(log).find("holds a finished token set") != std::string::npos)
            code = 0;
        if (code == 0) break;
        ASSERT_EQ(code, -SIGKILL) << read_all(log);
        ++kills;
    }
    EXPECT_EQ(code, 0);
    EXPECT_GT(kills, 3);
    EXPECT_TRUE(folder_content(broken) == folder_content(folder.file("whole"))) << kills << " kills";
}

// A disk that is full is told with exit code 4; what was durable before is used once there is space.
TEST(Disk, PrepareGoesOnWhenThereIsSpaceAgain) {
    if (std::system("unshare -rm true 2>/dev/null") != 0)
        GTEST_SKIP() << "SKIPPED LOUDLY: unshare -rm is not allowed here, the full disk was not tested";
    TemporaryFolder folder;
    std::string text, disk = folder.file("disk"), keep = folder.file("keep");
    for (int i = 0; i < 100'000; ++i) text += "line " + std::to_string(i) + " of a text that is prepared\n";
    folder.write("text.txt", text);
    std::filesystem::create_directories(disk);
    std::filesystem::create_directories(keep);
    const std::string program =
        std::string(LITHE_PROGRAM) + " data prepare " + folder.file("text.txt") + " -q --shard 500k --out ";
    const std::string script = "mount -t tmpfs -o size=7m tmpfs " + disk + " && dd if=/dev/zero of=" + disk +
                               "/filler bs=1k count=5000 2>/dev/null; " + program + disk + "/set >/dev/null 2>" + keep +
                               "/refused; echo refused $? >>" + keep + "/codes; rm " + disk + "/filler; " +
                               "(sleep 0.3; dd if=/dev/zero of=" + disk + "/filler bs=1k count=4000 2>/dev/null) & " +
                               program + disk + "/set >/dev/null 2>" + keep + "/full; echo full $? >>" + keep +
                               "/codes; wait; rm -f " + disk + "/filler; " + program + disk + "/set >/dev/null 2>" +
                               keep + "/again; echo again $? >>" + keep + "/codes; cp -r " + disk + "/set " + keep +
                               "/set";
    ASSERT_EQ(std::system(("unshare -rm sh -c '" + script + "'").c_str()), 0);
    const std::string codes = read_all(keep + "/codes");
    EXPECT_NE(codes.find("refused 4"), std::string::npos) << codes;
    EXPECT_NE(read_all(keep + "/refused").find("not enough disk space"), std::string::npos)
        << read_all(keep + "/refused");
    // the second start either meets the full disk or is quicker than it; the third finds a finished set then
    EXPECT_TRUE(codes.find("full 4\nagain 0") != std::string::npos ||
                codes.find("full 0\nagain 2") != std::string::npos)
        << codes;
    ASSERT_EQ(std::system((program + folder.file("whole") + " >/dev/null").c_str()), 0);
    EXPECT_TRUE(folder_content(keep + "/set") == folder_content(folder.file("whole")));
}

// A disk that fills up while training: earlier checkpoints survive, training goes on to its end, the last save is
// refused with exit code 4, and once there is space the run resumes to the same bits.
TEST(Disk, FullDiskLosesNothing) {
    if (std::system("unshare -rm true 2>/dev/null") != 0)
        GTEST_SKIP() << "SKIPPED LOUDLY: unshare -rm is not allowed here, the full disk was not tested";
    TemporaryFolder folder;
    std::string config = tiny_config(folder), disk = folder.file("disk"), keep = folder.file("keep");
    std::filesystem::create_directories(disk);
    std::filesystem::create_directories(keep);
    std::string program =
        std::string(LITHE_PROGRAM) + " train " + config +
        " -q --set train.precision=fp32 --set checkpoint.every=5 --set checkpoint.keep=2 --run ";  // stdout is not
                                                                                                   // looked at
    std::string script =
        "mount -t tmpfs -o size=2m tmpfs " + disk + " && " + program + disk + "/run --max-steps 20 >/dev/null 2>" +
        keep + "/first; echo first $? >>" + keep + "/codes; dd if=/dev/zero of=" + disk +
        "/filler bs=1k count=100000 2>/dev/null; truncate -s -40k " + disk + "/filler; " + program + disk +
        "/run --max-steps 40 2>" + keep + "/full; echo full $? >>" + keep + "/codes; cat " + disk + "/run/latest >>" +
        keep + "/codes; rm " + disk + "/filler; " + program + disk + "/run --max-steps 40 2>" + keep +
        "/again; echo again $? >>" + keep + "/codes; cp -r " + disk + "/run " + keep + "/run";
    ASSERT_EQ(std::system(("unshare -rm sh -c '" + script + "'").c_str()), 0);
    std::string codes = read_all(keep + "/codes");
    EXPECT_EQ(codes, "first 0\nfull 4\nstep-000000020\nagain 0\n")
        << read_all(keep + "/first") << read_all(keep + "/full") << read_all(keep + "/again");
    EXPECT_NE(read_all(keep + "/full").find("earlier ones are kept and training goes on"), std::string::npos)
        << read_all(keep + "/full");
    for (const char* steps : {"20", "40"})
        ASSERT_EQ(std::system((program + folder.file("whole") + " --max-steps " + steps + " >/dev/null").c_str()), 0);
    EXPECT_TRUE(essence(keep + "/run") == essence(folder.file("whole")));
}

}  // namespace
}  // namespace lithe

// Whole runs that recompute activations: the same weights, resumed in another way, within a bound of memory.
#include "lithe/model/checkpoint.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::read_all;
using testing::run;
using testing::TemporaryFolder;
using testing::tiny_config;

// Layers that carry states, with dropout, in two parts of a batch.
struct FourLayers {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);

    std::string weights(const std::string& name, const char* steps, const std::vector<std::string>& more) const {
        std::vector<std::string> command = {"train",       config,          "--run", folder.file(name),
                                            "--max-steps", steps,           "--set", "model.layout=u(sf)u(sf)",
                                            "--set",       "train.parts=2", "--set", "train.threads=2"};
        command.insert(command.end(), more.begin(), more.end());
        const auto result = run(command);
        EXPECT_EQ(result.code, 0) << result.err;
        return read_all(list_checkpoints(folder.file(name))[0].folder + "/model.safetensors");
    }
};

TEST(RecomputeRun, GivesTheSameWeights) {
    const FourLayers four;
    const std::string plain = four.weights("plain", "6", {});
    for (const std::string way : {"uniform:1", "uniform:2", "optimal:1", "selective"})
        EXPECT_EQ(four.weights("run " + way, "6", {"--set", "train.recompute=" + way}), plain) << way;
    four.weights("resumed", "3", {"--set", "train.recompute=uniform:1"});
    EXPECT_EQ(four.weights("resumed", "6", {"--set", "train.recompute=optimal:2"}), plain)
        << "another way from here on";
    EXPECT_NE(four.weights("other", "6", {"--set", "train.seed=2"}), plain);
}

TEST(RecomputeRun, WithDroppedLayers) {
    const FourLayers four;
    const std::vector<std::string> dropping = {"--set", "model.layout=(sf)x4", "--set", "layer_drop.method=layerdrop",
                                               "--set", "layer_drop.keep=0.7"};
    std::vector<std::string> recomputed = dropping;
    recomputed.insert(recomputed.end(), {"--set", "train.recompute=uniform:1"});
    EXPECT_EQ(four.weights("recomputed", "8", recomputed), four.weights("plain", "8", dropping));
}

// A stack whose activations are most of what it needs.
struct Large {
    TemporaryFolder folder;
    std::string config =
        folder.write("large.toml",
                     "[model]\nwidth = 256\nheads = 4\nlayout = \"(sf)x8\"\nvocabulary_size = 256\n[train]\nbatch = "
                     "64\nlength = 256\nprecision = \"fp32\"\n");

    testing::ProgramResult info(const std::vector<std::string>& more) const {
        std::vector<std::string> command = {"info", config, "--json"};
        command.insert(command.end(), more.begin(), more.end());
        return run(command);
    }
    double total(const std::string& way) const {
        return info({"--set", "train.recompute=" + way}).json()["memory_bytes"]["total"].get<double>();
    }
    nlohmann::ordered_json within(double bytes) const {
        return info({"--set", "train.recompute=memory", "--set", "train.max_memory=" + std::to_string(int64_t(bytes))})
            .json();
    }
};

TEST(RecomputeRun, MemoryChoosesTheCheapestWayThatFits) {
    const Large large;
    const double all = large.total("none"), groups = large.total("uniform:2"), least = large.total("optimal:1");
    EXPECT_LT(groups, 0.6 * all);
    EXPECT_LT(least, groups);
    EXPECT_EQ(large.within(1.01 * all)["recompute"]["way"], "none");
    const auto some = large.within(0.95 * all), few = large.within(1.01 * groups);
    EXPECT_LE(some["memory_bytes"]["total"].get<double>(), 0.95 * all);
    EXPECT_LE(few["memory_bytes"]["total"].get<double>(), 1.01 * groups);
    EXPECT_GT(few["recompute"]["flops_per_token"].get<double>(), some["recompute"]["flops_per_token"].get<double>());
    EXPECT_GT(some["recompute"]["flops_per_token"].get<double>(), 0);
    const auto none = large.info({"--set", "train.recompute=memory", "--set", "train.max_memory=100M"});
    EXPECT_EQ(none.code, 4);
    EXPECT_NE(none.err.find("no way of recomputing"), std::string::npos) << none.err;
}

TEST(RecomputeRun, TheBoundIsAFlagAndItsPriceIsTold) {
    const FourLayers four;
    const auto told = run({"train", four.config, "--dry-run", "--max-memory", "100G"});
    ASSERT_EQ(told.code, 0) << told.err;
    EXPECT_EQ(told.err.find("recompute "), std::string::npos) << "everything fits";
    const auto named = run({"train", four.config, "--dry-run", "--set", "train.recompute=uniform:1"});
    EXPECT_NE(named.err.find("recompute  uniform:1: "), std::string::npos) << named.err;
    EXPECT_NE(named.err.find("% more operations; without it "), std::string::npos) << named.err;
    EXPECT_EQ(run({"train", four.config, "--dry-run", "--max-memory", "1M"}).code, 4);
    EXPECT_EQ(run({"train", four.config, "--dry-run", "--max-memory", "much"}).code, 2);
    EXPECT_EQ(run({"train", four.config, "--dry-run", "--set", "train.recompute=all"}).code, 2);
}

}  // namespace
}  // namespace lithe

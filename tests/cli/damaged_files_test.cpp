// Model files as they come from elsewhere, with bytes changed, cut off and doubled: they are refused in words or used,
// and nothing else happens. The parsers that know no tensors have fuzzers of their own (tests/fuzz).
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "lithe/cli/exit_code.h"
#include "lithe/train/trainer.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

namespace fs = std::filesystem;
using testing::read_all;
using testing::run;
using testing::TemporaryFolder;

std::string damaged(const std::string& text, uint32_t seed) {
    std::mt19937 draw(seed);
    auto below = [&](size_t count) { return size_t(draw() % std::max<size_t>(1, count)); };
    // half of the changes fall into the first bytes, where headers are
    auto place = [&] { return below(draw() % 2 ? text.size() : std::min<size_t>(text.size(), 400)); };
    std::string changed = text;
    for (size_t change = 0; change < 1 + below(4); ++change) {
        const size_t at = std::min(place(), changed.size());
        switch (draw() % 5) {
            case 0: changed.resize(at); break;
            case 1: changed.insert(at, changed.substr(at, below(40))); break;
            case 2: changed.erase(at, 1 + below(8)); break;
            case 3: changed.insert(at, draw() % 2 ? "[" : "-9e99"); break;
            default:
                if (at < changed.size()) changed[at] = char(draw());
        }
    }
    return changed;
}

// Changes one file of a model again and again.
void expect_survived(const std::string& folder, const std::string& file, int times, const std::function<int()>& use) {
    const std::string path = folder + "/" + file, whole = read_all(path);
    ASSERT_EQ(use(), 0) << file;
    int refused = 0;
    for (int seed = 0; seed < times; ++seed) {
        std::ofstream(path, std::ios::binary) << damaged(whole, uint32_t(seed));
        const int code = use();
        EXPECT_TRUE(code == 0 || code == int(ExitCode::bad_file) || code == int(ExitCode::usage) ||
                    code == int(ExitCode::resources) || code == int(ExitCode::diverged))
            << file << ", seed " << seed << ": exit code " << code;
        refused += code != 0;
    }
    EXPECT_GT(refused, times / 10) << file << ": the changes were not seen";
    std::ofstream(path, std::ios::binary) << whole;
}

TEST(DamagedFiles, AModelIsRefusedInWordsOrUsed) {
    const TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder);
    ASSERT_EQ(run({"train", config, "--run", folder.file("r"), "--max-steps", "2", "-q"}).code, 0);
    const std::string model = folder.file("model");
    fs::create_directories(model);
    for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"})
        fs::copy(folder.file("r/checkpoints/step-000000002/") + file, model + "/" + file);
    const std::string weights = model + "/model.safetensors";
    auto info = [&] { return run({"info", weights, "--json"}).code; };
    expect_survived(model, "config.json", 300, info);
    expect_survived(model, "tokenizer.json", 300, info);
    expect_survived(model, "model.safetensors", 200, [&] {
        return run({"generate", weights, "--tokens", "1", "--threads", "1"}).code;
    });
}

TEST(DamagedFiles, WeightsOfOtherProgramsAreRefusedInWords) {
    const TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder);
    ASSERT_EQ(run({"train", config, "--run", folder.file("r"), "--max-steps", "2", "-q"}).code, 0);
    const std::string whole = read_all(folder.file("r/checkpoints/step-000000002/model.safetensors"));
    for (uint32_t seed = 0; seed < 100; ++seed) {
        const std::string weights = folder.write("w.safetensors", damaged(whole, seed));
        const int code = run({"import", weights, "--config", config, "--out", folder.file("out")}).code;
        EXPECT_TRUE(code == int(ExitCode::bad_file) || code == int(ExitCode::usage)) << "seed " << seed << ": " << code;
    }
}

TEST(DamagedFiles, ATrainersStateIsRefusedInWords) {
    TrainerState state;
    state.data.rows = {{0, 1, 2, true}};
    state.data.drawn = {3};
    const std::string whole = to_json(state).dump();
    int refused = 0;
    for (uint32_t seed = 0; seed < 2000; ++seed) {
        const auto json = nlohmann::json::parse(damaged(whole, seed), nullptr, false);
        if (json.is_discarded()) continue;
        try {
            trainer_state_from_json(json, "state.json");
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::bad_file);
            ++refused;
        }
    }
    EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace lithe

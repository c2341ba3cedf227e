// Runs with tables of n-grams: small files for reading, every bit for going on.
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/load_model.h"
#include "support/earlier_run.h"
#include "support/program.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

namespace fs = std::filesystem;
using testing::EarlierRuns;
using testing::run;
using testing::TemporaryFolder;

class TableRuns : public ::testing::Test {
 protected:
    TableRuns() : config_(testing::tiny_config(folder_)) {}

    // Tables large enough that most of their rows are never reached.
    testing::ProgramResult train(const std::string& name, const std::string& steps,
                                 std::vector<std::string> more = {}) {
        std::vector<std::string> all = {"train", config_, "--max-steps", steps, "--run", folder_.file(name), "--json"};
        for (const char* set : {"model.ngrams.lengths=2-3", "model.ngrams.rows=20000", "model.ngrams.width=24",
                                "train.precision=fp32", "evaluation.bytes=0"})
            all.insert(all.end(), {"--set", set});
        all.insert(all.end(), more.begin(), more.end());
        return run(all);
    }
    std::string place(const std::string& name) const { return list_checkpoints(folder_.file(name))[0].folder; }
    std::string essence(const std::string& name) const { return testing::essence(folder_.file(name)); }

    TemporaryFolder folder_;
    std::string config_;
};

TEST_F(TableRuns, FilesHoldWhatTrainingReached) {
    const auto trained = train("a", "20");
    ASSERT_EQ(trained.code, 0) << trained.err;
    const double whole = 2 * 20000 * 24 * 4;
    EXPECT_LT(double(fs::file_size(place("a") + "/model.safetensors")), whole / 20);
    EXPECT_LT(double(fs::file_size(place("a") + "/optimizer.safetensors")), whole / 4);
}

TEST_F(TableRuns, EvaluationFromTheFileLosesNextToNothing) {
    const auto trained = train("a", "200");
    ASSERT_EQ(trained.code, 0) << trained.err;
    const auto evaluated = run({"eval", folder_.file("a"), "--json"});
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    const double in_memory = trained.json()["valid"]["bits_per_byte"], from_file = evaluated.json()["bits_per_byte"];
    EXPECT_NEAR(from_file, in_memory, 1e-3);
    EXPECT_NE(from_file, in_memory) << "the tables are rounded";
}

// From a model's file a run begins with rounded rows and draws the others itself; broken off, it goes on bit by bit,
// also without that model.
TEST_F(TableRuns, ARunThatBeganWithAModelGoesOnExactly) {
    ASSERT_EQ(train("a", "20").code, 0);
    const std::vector<std::string> from = {
        "--set", "train.init_from=" + folder_.file("a"), "--set", "train.seed=9", "--set", "evaluation.every=5"};
    ASSERT_EQ(train("whole", "12", from).code, 0);
    ASSERT_EQ(train("broken", "5", from).code, 0);
    fs::remove_all(folder_.file("a"));
    const auto on = train("broken", "12", from);
    ASSERT_EQ(on.code, 0) << on.err;
    EXPECT_TRUE(essence("whole") == essence("broken"));
}

// Evaluated at a rate of 0 it is the model that it began with.
TEST_F(TableRuns, ARunBeginsWhereTheModelIs) {
    ASSERT_EQ(train("a", "200").code, 0);
    const auto there = run({"eval", folder_.file("a"), "--json"});
    const auto begun = train("b", "1",
                             {"--set", "train.init_from=" + folder_.file("a"), "--set", "optimizer.learning_rate=0",
                              "--set", "optimizer.table_learning_rate=0"});
    ASSERT_EQ(begun.code, 0) << begun.err;
    EXPECT_NEAR(begun.json()["valid"]["bits_per_byte"].get<double>(), there.json()["bits_per_byte"].get<double>(),
                1e-3);
}

// Nothing marks what a training reads of a frozen table: the model's file has all of it.
TEST_F(TableRuns, AFrozenTableIsEvaluatedAsItWasTrainedWith) {
    const auto trained = train("a", "200", {"--set", "train.frozen=[\"embeddings.ngrams.table\"]"});
    ASSERT_EQ(trained.code, 0) << trained.err;
    const auto evaluated = run({"eval", folder_.file("a"), "--json"});
    EXPECT_NEAR(evaluated.json()["bits_per_byte"].get<double>(), trained.json()["valid"]["bits_per_byte"].get<double>(),
                1e-3);
}

TEST_F(TableRuns, AModelOnlyIsNotGoneOnFrom) {
    ASSERT_EQ(train("a", "5", {"--set", "checkpoint.keep=9", "--set", "checkpoint.every=3"}).code, 0);
    const auto all = list_checkpoints(folder_.file("a"));
    ASSERT_EQ(all.size(), 3u) << "steps 5, 3 and 0";
    const auto make_model_only = [&](const std::string& checkpoint) {
        write_checkpoint(checkpoint, {read_tensors(checkpoint + "/model.safetensors"),
                                      {},
                                      "",
                                      testing::read_all(checkpoint + "/config.json"),
                                      testing::read_all(checkpoint + "/tokenizer.json")});
    };
    make_model_only(all[0].folder);
    EXPECT_EQ(run({"eval", all[0].folder, "--json"}).code, 0);
    EXPECT_FAILS(train("a", "5", {"--resume", all[0].folder}), 3, "lacks files of roles 'optimizer' and 'state'");
    make_model_only(all[1].folder);
    EXPECT_FAILS(train("a", "5"), 3, "the checkpoint is a model only");
    EXPECT_EQ(list_checkpoints(folder_.file("a")).size(), 3u) << "nothing is lost";
}

// Tables whole and in fp32: what the last version that wrote schema 2 left. Its text lies elsewhere now.
TEST(EarlierTables, OfSchema2GoOnBitByBit) {
    const EarlierRuns runs("schema2");
    const nlohmann::ordered_json& expected = runs.expected().at("mixed");
    const std::string folder = runs.folder("mixed");
    const auto evaluated = run({"eval", folder, "--data", "tokens:valid", "--json"});
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    EXPECT_NEAR(evaluated.json()["loss"].get<double>(), expected["loss"].get<double>(), 1e-5);
    EXPECT_EQ(run({"generate", folder, "--prompt", "an ", "--tokens", "5", "--json"}).code, 0);
    // saved in today's form on the way
    for (const char* steps : {"45", "90"}) {
        const auto on = run({"train", folder, "--set", "data.path=tokens", "--max-steps", steps, "--json"});
        ASSERT_EQ(on.code, 0) << on.err;
        EXPECT_EQ(on.err.find("an earlier version"), std::string::npos) << on.err;
        if (std::string(steps) == "45") continue;
        EXPECT_NEAR(on.json()["valid"]["loss"].get<double>(), expected["loss_at_90"].get<double>(), 1e-5);
    }
    EXPECT_EQ(read_manifest(list_checkpoints(folder)[0].folder).schema, 3);
}

}  // namespace
}  // namespace lithe

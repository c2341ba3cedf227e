// Training that begins with the weights of a model.
#include "lithe/objectives/load_model.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::TemporaryFolder;

class InitFrom : public ::testing::Test {
 protected:
    InitFrom() : config_(testing::tiny_config(folder_)) {}

    testing::ProgramResult train(const std::string& run, const std::string& steps, std::vector<std::string> more = {}) {
        std::vector<std::string> all = {"train", config_, "--max-steps", steps, "--run", folder_.file(run), "--json"};
        all.insert(all.end(), more.begin(), more.end());
        return testing::run(all);
    }
    std::vector<std::string> from(const std::string& run) { return {"--set", "train.init_from=" + folder_.file(run)}; }

    TemporaryFolder folder_;
    std::string config_;
};

void expect_same_tensors(const std::string& a, const std::string& b) {
    const auto one = read_tensors(find_model(a).weights.front()), two = read_tensors(find_model(b).weights.front());
    ASSERT_EQ(one.size(), two.size());
    for (size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].name, two[i].name);
        EXPECT_TRUE(at::equal(one[i].tensor, two[i].tensor)) << one[i].name;
    }
}

TEST_F(InitFrom, TakesWeightsAndTokenizerOverToAnotherText) {
    // the first text's alphabet becomes the tokenizer; the second text has fewer letters
    ASSERT_EQ(train("a", "20", {"--set", "data.vocabulary=used"}).code, 0);
    std::string other;
    while (other.size() < 20'000) other += "the tea ate the hat ";
    auto settings = from("a");
    for (const char* set : {"optimizer.learning_rate=0", "train.seed=9"})
        settings.insert(settings.end(), {"--set", set});
    settings.insert(settings.end(), {"--set", "data.path=" + folder_.write("other.txt", other)});
    const auto result = train("b", "1", settings);
    ASSERT_EQ(result.code, 0) << result.err;
    expect_same_tensors(folder_.file("a"), folder_.file("b"));
    EXPECT_EQ(load_model(folder_.file("a")).tokenizer->hash(), load_model(folder_.file("b")).tokenizer->hash());
    // without the model that it began with, the run goes on
    std::filesystem::remove_all(folder_.file("a"));
    const auto more = train("b", "3", settings);
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_EQ(more.json()["steps"], 3);
    settings.insert(settings.end(), {"--set", "model.width=24"});
    EXPECT_FAILS(train("b", "4", settings), 2, "cannot be resumed with other settings");
}

TEST_F(InitFrom, BeginsWhereTheModelIs) {
    const auto first = train("a", "40");
    ASSERT_EQ(first.code, 0) << first.err;
    auto settings = from("a");
    settings.insert(settings.end(), {"--set", "optimizer.learning_rate=0"});
    const auto second = train("b", "1", settings);
    ASSERT_EQ(second.code, 0) << second.err;
    EXPECT_EQ(first.json()["valid"]["bits_per_byte"], second.json()["valid"]["bits_per_byte"]);
}

TEST_F(InitFrom, RefusesWhatDoesNotFitAndWritesNothing) {
    ASSERT_EQ(train("a", "1").code, 0);
    auto wider = from("a");
    wider.insert(wider.end(), {"--set", "model.width=24"});
    EXPECT_FAILS(train("b", "1", wider), 3, "the weights do not fit the configuration");
    EXPECT_FALSE(std::filesystem::exists(folder_.file("b")));
    EXPECT_FAILS(train("b", "1", from("none")), 3, "no such run or model file");
    EXPECT_FALSE(std::filesystem::exists(folder_.file("b")));
}

}  // namespace
}  // namespace lithe

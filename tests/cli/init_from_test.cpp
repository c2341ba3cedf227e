// Training that begins with the weights of a model.
#include "lithe/objectives/load_model.h"
#include "support/program.h"
#include "support/run_essence.h"
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

Tensor tensor_of(const std::string& run, const std::string& name) {
    for (const NamedTensor& each : read_tensors(find_model(run).weights.front()))
        if (each.name == name) return each.tensor;
    ADD_FAILURE() << "no tensor " << name << " in " << run;
    return {};
}

TEST_F(InitFrom, TakesPartsAndTellsTheRest) {
    ASSERT_EQ(train("a", "5").code, 0);
    ASSERT_EQ(train("fresh", "1", {"--set", "optimizer.learning_rate=0", "--set", "train.seed=9"}).code, 0);
    auto settings = from("a");
    for (const char* set : {"optimizer.learning_rate=0", "train.seed=9",
                            "train.init_parts=[\"embeddings\", \"decoder.layers.1=decoder.layers.1\"]"})
        settings.insert(settings.end(), {"--set", set});
    const auto result = train("b", "1", settings);
    ASSERT_EQ(result.code, 0) << result.err;
    const std::string a = folder_.file("a"), b = folder_.file("b"), fresh = folder_.file("fresh");
    int taken = 0, initial = 0;
    for (const NamedTensor& each : read_tensors(find_model(b).weights.front())) {
        const bool part = stands_under(each.name, "embeddings") || stands_under(each.name, "decoder.layers.1");
        EXPECT_TRUE(at::equal(each.tensor, tensor_of(part ? a : fresh, each.name))) << each.name;
        ++(part ? taken : initial);
    }
    EXPECT_GT(taken, 2);
    EXPECT_GT(initial, 2);
    for (const char* words : {"taken: embeddings.tokens", "from the seed: decoder.layers", "unused in the file: "})
        EXPECT_NE(result.err.find(words), std::string::npos) << words << "\n" << result.err;
}

TEST_F(InitFrom, SaysWhoseTokenizerReadsTheText) {
    ASSERT_EQ(train("a", "1").code, 0);
    auto settings = from("a");
    settings.insert(settings.end(), {"--set", "data.tokenizer=" + folder_.file("own.json")});
    ASSERT_EQ(testing::run({"data", "train-tokenizer", folder_.file("text.txt"), "--size", "300", "--out",
                            folder_.file("own.json")})
                  .code,
              0);
    const auto whole = train("b", "1", settings);
    ASSERT_EQ(whole.code, 0) << whole.err;
    EXPECT_NE(whole.err.find("own.json\" is not used"), std::string::npos) << whole.err;
    EXPECT_EQ(load_model(folder_.file("b")).tokenizer->vocabulary_size(), 256);
    settings.insert(settings.end(), {"--set", "train.init_parts=[\"decoder.layers\"]"});
    const auto layers = train("c", "1", settings);
    ASSERT_EQ(layers.code, 0) << layers.err;
    EXPECT_EQ(layers.err.find("is not used"), std::string::npos) << layers.err;
    EXPECT_EQ(load_model(folder_.file("c")).tokenizer->vocabulary_size(),
              tokenizer_from_file(folder_.file("own.json"))->vocabulary_size());
}

TEST_F(InitFrom, RefusesPartsThatThereAreNot) {
    ASSERT_EQ(train("a", "1").code, 0);
    const auto with = [&](const std::string& parts) {
        auto settings = from("a");
        settings.insert(settings.end(), {"--set", "train.init_parts=[\"" + parts + "\"]"});
        return train("b", "1", settings);
    };
    EXPECT_FAILS(with("encoder"), 2, "the model has no parameters under 'encoder'");
    EXPECT_FAILS(with("embeddings=encoder.embeddings"), 3, "'encoder.embeddings.tokens', which is missing");
    EXPECT_FAILS(with("embeddings="), 2, "names no part of a model");
    EXPECT_FAILS(with("embeddings.tokens=decoder.layers.0.srupp.weight"), 3, "parameter 'embeddings.tokens'");
    EXPECT_FAILS(train("b", "1", {"--set", "train.init_parts=[\"embeddings\"]"}), 2, "no model is named");
    EXPECT_FALSE(std::filesystem::exists(folder_.file("b")));
}

// What is frozen stays what it was, has no moments, and the run resumes to the bit.
TEST_F(InitFrom, FrozenPartsStay) {
    const std::vector<std::string> frozen = {"--set", "train.frozen=[\"embeddings\", \"decoder.layers.0\"]"};
    ASSERT_EQ(train("zero", "1", {"--set", "optimizer.learning_rate=0"}).code, 0);
    const auto whole = train("whole", "12", frozen);
    ASSERT_EQ(whole.code, 0) << whole.err;
    for (const NamedTensor& each : read_tensors(find_model(folder_.file("whole")).weights.front())) {
        const bool part = stands_under(each.name, "embeddings") || stands_under(each.name, "decoder.layers.0");
        EXPECT_EQ(at::equal(each.tensor, tensor_of(folder_.file("zero"), each.name)), part) << each.name;
    }
    for (const NamedTensor& each : read_tensors(find_model(folder_.file("whole")).folder + "/optimizer.safetensors"))
        EXPECT_EQ(each.name.find("moment/embeddings"), std::string::npos) << each.name;
    ASSERT_EQ(train("parts", "5", frozen).code, 0);
    ASSERT_EQ(train("parts", "12", frozen).code, 0);
    EXPECT_EQ(testing::saved_tensors(folder_.file("parts")), testing::saved_tensors(folder_.file("whole")));
    EXPECT_FAILS(train("parts", "14"), 2, "train.frozen");
    EXPECT_FAILS(train("b", "1", {"--set", "train.frozen=[\"encoder\"]"}), 2, "no parameters under encoder");
    EXPECT_FAILS(train("b", "1", {"--set", "train.frozen=[\"embeddings\", \"decoder\", \"head\"]"}), 2,
                 "every parameter is frozen");
}

}  // namespace
}  // namespace lithe

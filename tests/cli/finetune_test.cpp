// From a trained model to labels of texts, as a user has it: finetune, eval, predict.
#include <fstream>
#include <map>

#include "lithe/model/saved_tensors.h"
#include "lithe/nn/parameters.h"
#include "lithe/objectives/load_model.h"
#include "lithe/score/label_scores.h"
#include "support/files.h"
#include "support/program.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;

// Sentences on two matters.
std::string table(int rows, const std::string& header) {
    const char* animals[] = {"a dog barks", "the cat sleeps", "birds sing well", "one horse runs"};
    const char* money[] = {"prices rise now", "the bank pays", "a loan is due", "stocks fell today"};
    std::string text = header;
    for (int i = 0; i < rows; ++i) {
        const bool animal = i % 2 == 0;
        text += std::string(animal ? animals[i / 2 % 4] : money[i / 2 % 4]) + " " + std::to_string(i) + "\t" +
                (animal ? "animals" : "money") + "\n";
    }
    return text;
}

class Finetuning : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        folder_ = new TemporaryFolder();
        const auto before =
            run({"train", testing::tiny_config(*folder_), "--run", folder_->file("base"), "--max-steps", "30", "-q"});
        ASSERT_EQ(before.code, 0) << before.err;
        folder_->write("task.tsv", table(400, "text\tlabel\n"));
        const auto result = run({"finetune", folder_->file("base"), folder_->file("task.tsv"), "--run", path(),
                                 "--epochs", "3", "--rate", "3e-3", "--batch", "16", "--threads", "1"});
        ASSERT_EQ(result.code, 0) << result.err;
        told_ = result.err;
    }
    static void TearDownTestSuite() { delete folder_; }
    static std::string path() { return folder_->file("tuned"); }
    static TemporaryFolder* folder_;
    static std::string told_;
};
TemporaryFolder* Finetuning::folder_ = nullptr;
std::string Finetuning::told_;

TEST_F(Finetuning, BeginsWithTheModelsWeightsAndANewHead) {
    EXPECT_NE(told_.find("weights    from"), std::string::npos) << told_;
    EXPECT_NE(told_.find("from the seed: label_head"), std::string::npos) << told_;
    EXPECT_NE(told_.find("lithe predict"), std::string::npos) << told_;
}

TEST_F(Finetuning, EvalGivesScoresOfTexts) {
    const auto json = run({"eval", path() + "@best", "--json"}).json();
    EXPECT_EQ(json["score"]["name"], "accuracy");
    EXPECT_GT(json["score"]["value"].get<double>(), 0.9);
    EXPECT_EQ(json["scores"].size(), 3u);
    EXPECT_FALSE(json.contains("bits_per_byte"));
    const auto other =
        run({"eval", path(), "--data", folder_->write("more.tsv", table(40, "text\tlabel\n")), "--json"}).json();
    EXPECT_EQ(other["texts"], 40);
    const auto words = run({"eval", path()});
    EXPECT_NE(words.out.find("Matthews correlation"), std::string::npos) << words.out;
    EXPECT_EQ(words.out.find("per token"), std::string::npos) << words.out;
}

TEST_F(Finetuning, PredictsTablesAndLines) {
    const auto table_of =
        run({"predict", path(), "--in", folder_->write("in.csv", "id,text\n1,a dog barks 12\n2,the bank pays 15\n")});
    ASSERT_EQ(table_of.code, 0) << table_of.err;
    EXPECT_EQ(table_of.out.substr(0, table_of.out.find('\n')), "prediction\tprobability");
    const auto lines =
        run({"predict", path(), "--in", folder_->write("in.txt", "a dog barks 12\nthe bank pays 15\n"), "--json"})
            .json();
    ASSERT_EQ(lines["predictions"].size(), 2u);
    EXPECT_EQ(lines["predictions"][0]["prediction"], "animals");
    EXPECT_EQ(lines["predictions"][1]["prediction"], "money");
    const auto gap = run({"predict", path(), "--in", folder_->write("gap.csv", "text\na dog\n\"\"\nthe bank\n")});
    EXPECT_EQ(gap.code, 3) << "predictions would not stand beside their rows";
    EXPECT_NE(gap.err.find("not every record is a text"), std::string::npos) << gap.err;
}

// A mask is an id more than the tokenizer has.
// What predict writes has the score that eval gives, and a file has the lines that the terminal has.
TEST_F(Finetuning, PredictionsHaveTheScoreOfEval) {
    std::string text = "text\tlabel\n";
    std::vector<double> labels;
    for (int i = 0; i < 60; ++i) {
        labels.push_back(i % 7 + 0.5 * (i % 3));
        text += std::string(size_t(1 + i % 9), char('a' + i % 7)) + " " + std::to_string(i) + "\t" +
                std::to_string(labels.back()) + "\n";
    }
    const std::string task = folder_->write("numbers.tsv", text), tuned = folder_->file("numbers");
    const auto made = run({"finetune", folder_->file("base"), task, "--valid", task, "--regress", "--run", tuned, "-q",
                           "--epochs", "2", "--rate", "1e-3", "--threads", "1"});
    ASSERT_EQ(made.code, 0) << made.err;
    const auto score = run({"eval", tuned, "--json", "--threads", "1"}).json()["score"]["value"].get<double>();
    const std::string out = folder_->file("predictions.tsv");
    ASSERT_EQ(run({"predict", tuned, "--in", task, "--out", out, "--threads", "1"}).code, 0);
    EXPECT_EQ(testing::read_all(out), run({"predict", tuned, "--in", task, "--threads", "1"}).out);
    std::ifstream file(out);
    std::string line;
    std::getline(file, line);
    std::vector<double> given;
    while (std::getline(file, line)) given.push_back(std::stod(line));
    EXPECT_NEAR(pearson(given, labels), score, 1e-12);
}

TEST_F(Finetuning, BeginsWithAMaskedEncoder) {
    const std::string config = testing::tiny_config(*folder_, "[objective]\nname = \"masked\"\n");
    const auto before = run({"train", config, "--run", folder_->file("encoder"), "--max-steps", "3", "-q", "--set",
                             "model.direction=bidirectional", "--set", "model.layout=sf", "--set", "model.memory=0"});
    ASSERT_EQ(before.code, 0) << before.err;
    const auto result =
        run({"finetune", folder_->file("encoder"), folder_->file("task.tsv"), "--run", folder_->file("of-encoder"),
             "--epochs", "0.1", "--threads", "1", "--set", "objective.class_weights=balanced"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("labels     animals"), std::string::npos) << result.err;
}

TEST_F(Finetuning, NamesInAFolderSayWhatIsTrainedOn) {
    folder_->write("task/train.tsv", table(60, "text\tlabel\n"));
    folder_->write("task/dev.tsv", table(20, "text\tlabel\n"));
    folder_->write("task/test.tsv", table(20, "text\tlabel\n"));
    const auto result = run({"finetune", folder_->file("base"), folder_->file("task"), "--run", folder_->file("folder"),
                             "--epochs", "1", "--threads", "1"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("by names: train 1 file, valid 1, test 1"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(", 20 texts"), std::string::npos) << result.err;
}

TEST_F(Finetuning, ALineWithoutTextIsNotPassedOver) {
    const auto result =
        run({"predict", path(), "--in", folder_->write("blank.txt", "a dog barks 12\n\nthe bank pays 15\n")});
    EXPECT_EQ(result.code, 3) << result.out;
    EXPECT_NE(result.err.find("1 line (without text)"), std::string::npos) << result.err;
}

// The tensors of a run's model.
std::map<std::string, std::vector<float>> numbers_of(const std::string& run) {
    SavedTensors saved(find_model(run).weights);
    std::map<std::string, std::vector<float>> all;
    for (const std::string& name : saved.names()) {
        const Tensor numbers = saved.take(name).to(at::kFloat).contiguous();
        all[name].assign(numbers.data_ptr<float>(), numbers.data_ptr<float>() + numbers.numel());
    }
    return all;
}

// Trains few of the weights; a run that is stopped in between ends with the same bits.
class FewWeights : public Finetuning {
 protected:
    static testing::ProgramResult tune(const std::string& run_name, const std::string& what, int steps) {
        return run({"finetune",
                    folder_->file("base"),
                    folder_->file("task.tsv"),
                    "--run",
                    folder_->file(run_name),
                    "--train",
                    what,
                    "--rate",
                    "1e-2",
                    "--batch",
                    "16",
                    "--threads",
                    "1",
                    "--json",
                    "--set",
                    "schedule.name=constant",
                    "--set",
                    "schedule.warmup=0",
                    "--set",
                    "train.max_steps=" + std::to_string(steps)});
    }
    static void expect_resumes(const std::string& what) {
        ASSERT_EQ(tune(what + "-parts", what, 4).code, 0);
        const auto rest = run({"train", folder_->file(what + "-parts"), "--max-steps", "9", "-q"});
        ASSERT_EQ(rest.code, 0) << rest.err;
        EXPECT_EQ(testing::saved_tensors(folder_->file(what + "-parts")), testing::saved_tensors(folder_->file(what)));
    }
    // What the base has stands in the run as it was, but for `but`.
    static void expect_kept(const std::string& run_name, const std::function<bool(const std::string&)>& but) {
        const auto before = numbers_of(folder_->file("base")), after = numbers_of(folder_->file(run_name));
        int kept = 0;
        for (const auto& [name, numbers] : before) {
            if (stands_under(name, "head") || !after.count(name)) continue;
            EXPECT_EQ(after.at(name) == numbers, !but(name)) << name;
            ++kept;
        }
        EXPECT_GT(kept, 10);
    }
    // What a command reads of the run's files is the model that was trained.
    static void expect_read_as_trained(const std::string& run_name, const testing::ProgramResult& told) {
        const double read = run({"eval", folder_->file(run_name), "--json"}).json()["loss"];
        EXPECT_NEAR(read, told.json()["valid"]["loss"].get<double>(), 1e-6);
    }
};

TEST_F(FewWeights, TheHeadAlone) {
    const auto told = tune("head", "head", 9);
    ASSERT_EQ(told.code, 0) << told.err;
    EXPECT_NE(told.err.find(" %) trained"), std::string::npos) << told.err;
    expect_kept("head", [](const std::string&) { return false; });
    const auto next = run({"finetune", folder_->file("head"), folder_->file("task.tsv"), "--run", folder_->file("x"),
                           "--set", "train.max_steps=1"});
    EXPECT_NE(next.err.find("unused in the file: label_head"), std::string::npos) << next.err;
}

TEST_F(FewWeights, UpdatesOfLowRank) {
    const auto told = tune("lora", "lora", 9);
    ASSERT_EQ(told.code, 0) << told.err;
    EXPECT_NE(told.err.find("from the seed: label_head"), std::string::npos) << told.err;
    expect_kept("lora", [](const std::string&) { return false; });
    expect_resumes("lora");
    expect_read_as_trained("lora", told);
    const auto merged = run({"finetune", folder_->file("lora"), folder_->file("task.tsv"), "--run",
                             folder_->file("of-lora"), "--set", "train.max_steps=1", "--threads", "1"});
    ASSERT_EQ(merged.code, 0) << merged.err;
    EXPECT_FALSE(numbers_of(folder_->file("of-lora")).empty());
    for (const auto& [name, numbers] : numbers_of(folder_->file("of-lora"))) EXPECT_NE(name.substr(0, 5), "lora.");
}

TEST_F(FewWeights, Adapters) {
    const auto told = tune("adapters", "adapters", 9);
    ASSERT_EQ(told.code, 0) << told.err;
    EXPECT_NE(told.err.find("adapters"), std::string::npos) << told.err;
    expect_kept("adapters", [](const std::string&) { return false; });
    expect_resumes("adapters");
    expect_read_as_trained("adapters", told);
    const auto again = run({"finetune", folder_->file("adapters"), folder_->file("task.tsv"), "--run",
                            folder_->file("of-adapters"), "--train", "adapters", "--set", "train.max_steps=1"});
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_NE(again.err.find("from the seed: label_head"), std::string::npos) << again.err;
}

TEST_F(FewWeights, Biases) {
    const auto told = tune("biases", "biases", 9);
    ASSERT_EQ(told.code, 0) << told.err;
    expect_kept("biases", [](const std::string& name) {
        return name.find("bias") != std::string::npos || name.ends_with(".b1") || name.ends_with(".b2");
    });
    expect_resumes("biases");
}

TEST_F(FewWeights, ThatHaveNothingToChangeAreRefused) {
    const auto alone = run({"train", testing::tiny_config(*folder_), "--run", folder_->file("y"), "--max-steps", "1",
                            "--set", "train.lora.rank=4"});
    EXPECT_EQ(alone.code, 2);
    EXPECT_NE(alone.err.find("need the weights that they change"), std::string::npos) << alone.err;
}

TEST_F(Finetuning, WrongInputIsToldInASentence) {
    const auto expect = [&](std::vector<std::string> arguments, int code, const std::string& words) {
        const auto result = run(arguments);
        EXPECT_EQ(result.code, code) << result.err;
        EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
    };
    const std::string base = folder_->file("base"), task = folder_->file("task.tsv");
    expect({"finetune", base, task, "--run", path()}, 2, "the folder holds a run");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--label", "kind"}, 3, "no column \"kind\"");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--regress"}, 3, "is no number");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--test", task}, 2, "beside a validation file");
    expect({"finetune", base, folder_->write("t.txt", "a\nb\n"), "--run", folder_->file("n")}, 2,
           "plain text has no field");
    expect({"predict", base, "--in", task}, 2, "gives texts no labels");
    expect({"generate", path(), "--prompt", "a"}, 2, "predicts no tokens");
    expect({"predict", path(), "--in", task, "--second", "label"}, 2, "trained on texts alone");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--second", "text"}, 2, "the same column");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--pairs", "apart"}, 2, "no pairs to be read apart");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--valid", folder_->write("no.tsv", "text\tlabel\n")},
           3, "there is no text to be scored");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--label", "kind"}, 3, "data.label names one of them");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--train", "lora", "--set", "train.lora.rank=0"}, 2,
           "updates of rank 0");
    expect({"finetune", base, task, "--run", folder_->file("n"), "--set", "model.positions=learned", "--set",
            "model.max_positions=64", "--set", "model.memory=0"},
           2, "the model has 64 positions");
}

}  // namespace
}  // namespace lithe

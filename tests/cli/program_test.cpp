#include "support/program.h"
#include "lithe/ops/torch.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;
using testing::tiny_config;

class Trained : public ::testing::Test {
 protected:
    static void SetUpTestSuite() {
        folder_ = new TemporaryFolder;
        config_ = tiny_config(*folder_);
        first_ = new testing::ProgramResult(run({"train", config_, "--run", folder_->file("run"), "--max-steps", "30",
                                                 "--set", "evaluation.every=10", "--set", "sample.every=1", "--json"}));
    }
    static void TearDownTestSuite() {
        delete first_;
        delete folder_;
    }
    static std::string path() { return folder_->file("run"); }
    static TemporaryFolder* folder_;
    static std::string config_;
    static testing::ProgramResult* first_;
};
TemporaryFolder* Trained::folder_ = nullptr;
std::string Trained::config_;
testing::ProgramResult* Trained::first_ = nullptr;

TEST_F(Trained, TrainPrintsItsResult) {
    ASSERT_EQ(first_->code, 0) << first_->err;
    auto json = first_->json();
    EXPECT_EQ(json["schema"], "lithe.train/1");
    EXPECT_EQ(json["steps"], 30);
    EXPECT_EQ(json["tokens"], 30 * 4 * 8);
    EXPECT_EQ(json["stopped_by"], "steps");
    for (const char* key : {"run", "seconds", "valid", "best", "perf"}) EXPECT_TRUE(json.contains(key)) << key;
    for (const char* key : {"tokens_per_second", "flops_per_token", "gflops", "peak_rss_bytes"})
        EXPECT_TRUE(json["perf"].contains(key)) << key;
    EXPECT_LT(json["valid"]["bits_per_byte"], 5.0);
    for (const char* name :
         {"config.toml", "run.json", "metrics.jsonl", "samples.jsonl", "log.txt", "latest", "best", "report.html"})
        EXPECT_TRUE(std::filesystem::exists(path() + "/" + name)) << name;
}

TEST_F(Trained, MetricsAndSamplesAreComplete) {
    std::istringstream lines(testing::read_all(path() + "/metrics.jsonl"));
    int train = 0, valid = 0;
    for (std::string line; std::getline(lines, line);)
        (nlohmann::json::parse(line).contains("valid") ? valid : train)++;
    EXPECT_EQ(train, 30);
    EXPECT_EQ(valid, 3);
    std::string samples = testing::read_all(path() + "/samples.jsonl");
    EXPECT_EQ(std::count(samples.begin(), samples.end(), '\n'), 3);
}

TEST_F(Trained, EvalStatesItsProtocolAndRepeats) {
    auto json = run({"eval", path(), "--json"}).json();
    EXPECT_EQ(json["schema"], "lithe.eval/1");
    EXPECT_EQ(json["tokens"], 999);
    EXPECT_EQ(json["protocol"]["memory"], 8);
    EXPECT_EQ(json["bits_per_byte"], run({"eval", path(), "--json"}).json()["bits_per_byte"]);
    EXPECT_NEAR(run({"eval", path(), "--json", "--bytes", "300", "--lead", "16"}).json()["bits_per_byte"].get<double>(),
                first_->json()["valid"]["bits_per_byte"].get<double>(), 1e-6);
    EXPECT_EQ(run({"eval", path(), "--data", folder_->file("text.txt"), "--json"}).json()["tokens"], 19'999);
    EXPECT_EQ(run({"eval", path() + "@best", "--data", ":test", "--memory", "16", "--mask", "same_length", "--json"})
                  .json()["protocol"]["mask"],
              "same_length");
    EXPECT_FAILS(run({"eval", path(), "--beam", "3"}), 2, "it writes no translations");
    EXPECT_FAILS(run({"eval", path(), "--length-penalty", "2"}), 2, "it writes no translations");
}

TEST_F(Trained, GenerateIsReproducibleWithAndWithoutCache) {
    auto text = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments = {"generate", path(), "--prompt",    "the ",
                                              "--tokens", "20",   "--precision", "fp32"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run(arguments).out;
    };
    std::string one = text({"--seed", "3"});
    EXPECT_EQ(one.rfind("the ", 0), 0u);
    EXPECT_EQ(one.size(), 4u + 20 + 1);
    EXPECT_EQ(one, text({"--seed", "3"}));
    EXPECT_EQ(one, text({"--seed", "3", "--no-stream"}));
    EXPECT_NE(one, text({"--seed", "4"}));
    EXPECT_EQ(text({"--temperature", "0"}), text({"--temperature", "0", "--no-cache"}));
    auto int8 = run({"generate", path(), "--prompt", "the ", "--tokens", "5", "--precision", "int8", "--json"}).json();
    EXPECT_EQ(int8["tokens"], 5);
    EXPECT_FAILS(run({"generate", path(), "--precision", "int9"}), 2, "int9");
    auto json = run({"generate", path(), "--prompt", "the ", "--tokens", "5", "--json"}).json();
    EXPECT_EQ(json["tokens"], 5);
    EXPECT_FAILS(run({"generate", path(), "--prompt", ""}), 2, "the prompt is empty");
    EXPECT_FAILS(run({"generate", path(), "--top-p", "2"}), 2, "--top-p");
}

TEST_F(Trained, AModelFileMayHaveAnyName) {
    auto place = std::filesystem::path(path()) / "checkpoints" / "step-000000030",
         copy = std::filesystem::path(folder_->file("copy"));
    std::filesystem::create_directories(copy);
    std::filesystem::copy(place / "model.safetensors", copy / "mine.safetensors");
    for (const char* name : {"config.json", "tokenizer.json"}) std::filesystem::copy(place / name, copy / name);
    EXPECT_EQ(run({"eval", (copy / "mine.safetensors").string(), "--json"}).json()["bits_per_byte"],
              run({"eval", place.string(), "--json"}).json()["bits_per_byte"]);
    std::string bytes = testing::read_all((copy / "mine.safetensors").string());
    std::ofstream(copy / "mine.safetensors") << bytes.substr(0, bytes.size() - 100);
    EXPECT_FAILS(run({"eval", (copy / "mine.safetensors").string()}), 3, "not a valid safetensors file");
}

TEST_F(Trained, FinishedRunIsToldAndEvaluated) {
    auto again = run({"train", config_, "--run", path(), "--max-steps", "30", "--set", "evaluation.every=10", "--set",
                      "sample.every=1", "--json"});
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_NE(again.err.find("reached its budget already"), std::string::npos);
    EXPECT_EQ(again.json()["valid"]["bits_per_byte"], first_->json()["valid"]["bits_per_byte"]);
}

TEST_F(Trained, InfoCountsTheRun) {
    auto json = run({"info", path(), "--json"}).json();
    EXPECT_EQ(json["layers"].size(), 3u);
    EXPECT_EQ(json["layout"], "u(sf)");
    EXPECT_GT(json["parameters"], json["parameters_without_embeddings"]);
}

TEST_F(Trained, ResumeGoesOnAndRefusesOtherSettings) {
    auto starts = [&] { return nlohmann::json::parse(testing::read_all(path() + "/run.json"))["starts"].size(); };
    const size_t before = starts();
    auto more = run({"train", config_, "--run", path(), "--max-steps", "35", "--json"});
    EXPECT_EQ(more.code, 0) << more.err;
    EXPECT_EQ(more.json()["steps"], 35);
    EXPECT_EQ(starts(), before + 1);
    EXPECT_FAILS(run({"train", config_, "--run", path(), "--max-steps", "40", "--set", "model.width=32"}), 2,
                 "model.width: 16 became 32");
    EXPECT_FAILS(run({"train", config_, "--run", path(), "--max-steps", "40", "--resume=never"}), 2,
                 "holds a run already");
    EXPECT_FAILS(run({"train", config_, "--run", folder_->file("fresh"), "--max-steps", "4", "--resume"}), 3,
                 "no checkpoint to resume from");
}

TEST(Program, InfoWithoutArgumentNamesTheKernels) {
    auto json = run({"info", "--json"}).json();
    ASSERT_GE(json["kernels"].size(), 5u);
    int used = 0;
    for (const auto& each : json["kernels"][0]["implementations"])
        used += each["used"].get<bool>() && each["name"] != "cuda";
    EXPECT_EQ(used, 1);
    EXPECT_NE(run({"info"}).out.find("attention"), std::string::npos);
}

TEST(Program, PublishedCountFromTheCommandLine) {
    const std::pair<const char*, int64_t> published[] = {{"enwik8-srupp-small", 42345815},
                                                         {"enwik8-txl-12l", 41055436},
                                                         {"enwik8-txl-24l", 277231820},
                                                         {"text8-txl-24l", 277050395},
                                                         {"enwik8-par-24b", 46578380},
                                                         {"wikitext103-txl-base", 151107538},
                                                         {"wikitext103-txl-nvidia", 191950298},
                                                         {"wikitext103-par-base", 199840218},
                                                         {"wikitext103-par-large", 319826810},
                                                         {"wikitext103-sandwich", 191950298},
                                                         {"wikitext103-txl-large", 285167482},
                                                         {"wikitext103-sandwich-large", 285167482},
                                                         {"enwik8-sandwich-24b", 41055436},
                                                         {"text8-par-24b", 46487579},
                                                         {"text8-sandwich-24b", 40964635},
                                                         {"bert-base", 109482240},
                                                         {"albert-base", 11683584},
                                                         {"bert-par", 126002688}};
    for (const auto& [name, count] : published)
        EXPECT_EQ(
            run({"info", LITHE_SOURCE_FOLDER "/configs/" + std::string(name) + ".toml", "--json"}).json()["parameters"],
            count)
            << name;
}

TEST(Program, InfoCountsTheMaskToken) {
    const TemporaryFolder folder;
    const std::string config = folder.write(
        "masked.toml",
        "[model]\nwidth = 8\nlayout = \"sf\"\ndirection = \"bidirectional\"\npositions = \"learned\"\nmax_positions = "
        "16\n"
        "head = \"transform\"\ntie_embeddings = true\n[objective]\nname = \"masked\"\n[data]\nvocabulary = \"all\"\n");
    auto count = [&](const std::vector<std::string>& sets) {
        std::vector<std::string> arguments = {"info", config, "--json"};
        arguments.insert(arguments.end(), sets.begin(), sets.end());
        return run(arguments).json()["parameters"];
    };
    EXPECT_EQ(count({}), count({"--set", "model.vocabulary_size=257"}));
}

TEST(Program, UsageErrorsAreCode2) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);
    EXPECT_FAILS(run({}), 2, "subcommand");
    EXPECT_FAILS(run({"trian"}), 2, "did you mean 'train'?");
    EXPECT_FAILS(run({"train"}), 2, "config");
    EXPECT_FAILS(run({"train", config, "--max-stepz", "3"}), 2, "--max-stepz");
    EXPECT_FAILS(run({"train", folder.file("no.toml")}), 2, "cannot read the configuration");
    EXPECT_FAILS(run({"train", folder.write("bad.toml", "[model\n")}), 2, "not valid TOML");
    EXPECT_FAILS(run({"train", config, "--set", "modle.width=3"}), 2, "did you mean 'model'?");
    EXPECT_FAILS(run({"train", config, "--max-steps", "many"}), 2, "train.max_steps");
    EXPECT_FAILS(run({"train", config, "--set", "schedule.name=cosine", "--run", folder.file("r")}), 2,
                 "needs a budget");
    EXPECT_FAILS(run({"train", config, "--max-steps", "3", "--set", "model.layout=u?", "--run", folder.file("r")}), 2,
                 "searched places");
    EXPECT_FAILS(run({"train", config, "--max-steps", "3", "--set", "train.length=100k", "--run", folder.file("r")}), 2,
                 "too short for this batch");
    EXPECT_FAILS(
        run({"train", config, "--max-steps", "3", "--set", "model.vocabulary_size=100", "--run", folder.file("r")}), 2,
        "does not fit the tokenizer");
    if (!ops::cuda_status().available) {
        EXPECT_FAILS(run({"bench", "train", "--only", "sru", "--device", "cuda"}), 2, "train.device");
        EXPECT_FAILS(
            run({"train", config, "--max-steps", "3", "--set", "train.device=cuda", "--run", folder.file("r")}), 2,
            "train.device");
    }
    EXPECT_FAILS(run({"bench", "kernels", "--only", "nothing"}), 2, "no kernel matches");
}

TEST(Program, BenchmarksAConfigurationAndProfilesIt) {
    TemporaryFolder folder;
    const std::string config =
        folder.write("b.toml", "[model]\nwidth = 16\nlayout = \"u\"\nmemory = 8\n[train]\nbatch = 2\nlength = 8\n");
    auto run_bench = [&](const char* what, std::vector<std::string> more) {
        std::vector<std::string> all = {"bench", what,        "--config", config,  "--precision",
                                        "fp32",  "--repeats", "2",        "--json"};
        all.insert(all.end(), more.begin(), more.end());
        return run(all).json()["results"][0];
    };
    auto plain = run_bench("train", {}), profiled = run_bench("train", {"--profile"})["profile"];
    EXPECT_EQ(plain["name"], config);
    EXPECT_FALSE(plain.contains("profile"));
    double sum = 0;
    for (const auto& phase : profiled["phases"]) sum += phase["milliseconds"].get<double>();
    EXPECT_NEAR(sum, profiled["milliseconds"].get<double>(), 1e-9 + 1e-6 * sum);
    const auto by_rows = run_bench("generate", {"--rows", "1,3"})["by_rows"];
    ASSERT_EQ(by_rows.size(), 2u);
    EXPECT_EQ(by_rows[1]["rows"], 3);
    for (const auto& each : by_rows) EXPECT_GT(each["tokens_per_second"].get<double>(), 0);
    EXPECT_GT(run_bench("evaluate", {})["of_training_forward"].get<double>(), 0);
    EXPECT_FAILS(run({"bench", "train", "--config", folder.file("none")}), 2, "does not exist");
    EXPECT_FAILS(run({"bench", "train", "--only", "nothing"}), 2, "no benchmark row matches");
}

TEST(Program, BadFilesAreCode3) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);
    EXPECT_FAILS(run({"train", config, "--max-steps", "3", "--set", "data.path=/no/such", "--run", folder.file("r")}),
                 3, "cannot find the data");
    EXPECT_FAILS(run({"train", config, "--max-steps", "3", "--set", "data.path=" + folder.write("empty", ""), "--run",
                      folder.file("r")}),
                 3, "empty");
    EXPECT_FAILS(run({"eval", folder.file("no-run")}), 3, "no such run");
    EXPECT_FAILS(run({"eval", folder.path()}), 3, "no checkpoint");
    EXPECT_FAILS(run({"generate", folder.write("m.safetensors", "xx")}), 3, "config.json");
    EXPECT_FAILS(run({"data", "verify", folder.write("t.tokens", "LITHETOK")}), 3, "less than its header");
    EXPECT_FAILS(run({"data", "info", folder.file("none")}), 3, "cannot find");
}

TEST(Program, MemoryIsRefusedBeforeTheStart) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);
    EXPECT_FAILS(run({"train", config, "--max-steps", "3", "--run", folder.file("r"), "--set", "model.width=65536",
                      "--set", "model.layout=ux64"}),
                 4, "does not fit into memory");
    EXPECT_FALSE(std::filesystem::exists(folder.file("r")));
}

TEST(Program, DryRunTrainsNothing) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);
    auto result = run({"train", config, "--max-steps", "3", "--run", folder.file("r"), "--dry-run", "--json"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.json()["stopped_by"], "dry_run");
    EXPECT_FALSE(std::filesystem::exists(folder.file("r")));
}

TEST(Program, PreparedDataIsDescribedAndVerified) {
    TemporaryFolder folder;
    folder.write("text.txt", testing::sample_text(50'000));
    EXPECT_EQ(run({"data", "prepare", folder.file("text.txt"), "--out", folder.file("t.tokens"), "--vocabulary", "used",
                   "--json"})
                  .json()["tokens"],
              50'000);
    auto info = run({"data", "info", folder.file("t.tokens"), "--json"}).json();
    EXPECT_EQ(info["splits"][0]["tokens"], 45'000);
    EXPECT_LT(info["vocabulary_size"], 40);
    EXPECT_EQ(run({"data", "verify", folder.file("t.tokens")}).code, 0);
    // a model over 256 bytes does not read this tokenizer's ids
    std::string config = tiny_config(folder);
    ASSERT_EQ(run({"train", config, "--max-steps", "2", "--run", folder.file("r")}).code, 0);
    EXPECT_FAILS(run({"eval", folder.file("r"), "--data", folder.file("t.tokens")}), 3,
                 "the data has another tokenizer than it is to be read with");
}

TEST(Program, NonFiniteLossStopsWithCode5OrSkips) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);
    std::vector<std::string> diverging = {"train",       config,
                                          "--max-steps", "60",
                                          "--set",       "optimizer.learning_rate=1000",
                                          "--set",       "optimizer.name=sgd",
                                          "--set",       "optimizer.clip_norm=0",
                                          "--set",       "train.precision=fp32"};
    auto with = [&](std::vector<std::string> more) {
        auto all = diverging;
        all.insert(all.end(), more.begin(), more.end());
        return all;
    };
    EXPECT_FAILS(run(with({"--run", folder.file("a")})), 5, "is not finite");
    EXPECT_FAILS(
        run(with({"--run", folder.file("b"), "--set", "train.non_finite=skip", "--set", "train.non_finite_limit=3"})),
        5, "the update is left out");
}

TEST(Program, EveryPrecisionOptimizerAndScheduleTrains) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);
    int run_number = 0;
    for (const char* set :
         {"optimizer.name=radam", "optimizer.name=adam", "optimizer.name=sgd", "optimizer.name=lamb",
          "optimizer.decay=all", "schedule.name=linear", "schedule.name=cosine", "schedule.name=inverse_sqrt",
          "schedule.name=recipe", "schedule.axis=tokens", "train.precision=fp32", "train.accumulation=3",
          "model.layout=<sru>lr-", "model.tie_embeddings=true", "data.vocabulary=used", "model.norm=post"}) {
        std::vector<std::string> arguments = {
            "train",       config, "--run",        folder.file("r" + std::to_string(run_number++)),
            "--max-steps", "12",   "--max-tokens", "2k",
            "--set",       set,    "--json"};
        auto result = run(arguments);
        ASSERT_EQ(result.code, 0) << set << "\n" << result.err;
        EXPECT_LT(result.json()["valid"]["bits_per_byte"], 8.5) << set;
    }
}

TEST(Program, ChunksComeInAnotherOrderAndResumeExactly) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder);
    auto bits = [&](const std::string& name, const std::string& order, const std::string& steps) {
        const auto result = run({"train", config, "--run", folder.file(name), "--max-steps", steps, "--set",
                                 "data.order=" + order, "-q", "--json"});
        EXPECT_EQ(result.code, 0) << result.err;
        return result.json()["valid"]["bits_per_byte"].get<double>();
    };
    const double whole = bits("whole", "chunks", "30");
    EXPECT_NE(whole, bits("streams", "streams", "30"));
    bits("halves", "chunks", "15");
    EXPECT_EQ(bits("halves", "chunks", "30"), whole);
}

TEST(Program, EarlyStopEndsTheRun) {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);
    auto result =
        run({"train", config, "--run", folder.file("r"), "--max-steps", "500", "--set", "optimizer.learning_rate=0",
             "--set", "evaluation.every=2", "--set", "train.patience=2", "--json"});
    EXPECT_EQ(result.json()["stopped_by"], "early_stop") << result.err;
    EXPECT_LE(result.json()["steps"], 8);
}

TEST(Program, ShippedConfigurationsBuildTheirModels) {
    for (const auto& entry : std::filesystem::directory_iterator(LITHE_SOURCE_FOLDER "/configs")) {
        std::vector<std::string> arguments = {"info", entry.path().string(), "--json"};
        // the data that tells the size of other vocabularies than bytes is not here
        const std::string text = testing::read_all(entry.path().string());
        const bool told =
            text.find("tokenizer = ") == std::string::npos || text.find("vocabulary_size = ") != std::string::npos;
        if (!told) arguments.insert(arguments.end(), {"--set", "model.vocabulary_size=1000"});
        auto result = run(arguments);
        EXPECT_EQ(result.code, 0) << entry.path() << result.err;
        EXPECT_GT(result.json()["parameters"], 1000);
    }
}

TEST(Program, LatencyOfConfigurationsStandsBesideTheFirst) {
    TemporaryFolder folder;
    const std::string shape =
        "[evaluation]\nlength = 8\nmemory = 16\n[model]\nwidth = 16\npositions = \"relative\"\nlayout = ";
    const std::string both = folder.write("a.toml", shape + "\"(sf)x2\"\n"),
                      few = folder.write("b.toml", shape + "\"sfff\"\n");
    auto rows = run({"bench", "latency", both, few, "--repeats", "2", "--json"}).json()["results"];
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0]["ratio"], 1);
    EXPECT_EQ(rows[1]["memory"], 16);
    EXPECT_GT(rows[1]["ratio"], 0);
    EXPECT_LT(rows[1]["gflop"], rows[0]["gflop"]);
    EXPECT_FAILS(run({"bench", "latency", folder.file("no.toml")}), 2, "no.toml");
}

TEST(Program, HelpNamesEverySetting) {
    auto help = run({"train", "--help"});
    EXPECT_EQ(help.code, 0);
    for (const char* words : {"optimizer.learning_rate", "--max-time", "train.non_finite"})
        EXPECT_NE(help.out.find(words), std::string::npos) << words;
    EXPECT_EQ(run({"--version"}).code, 0);
}

}  // namespace
}  // namespace lithe

// lithe search, compare and import as a user calls them.
#include "lithe/base/file.h"
#include "lithe/formats/safetensors.h"
#include "lithe/model/checkpoint.h"
#include "support/browser.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::run;
using testing::TemporaryFolder;
using testing::tiny_config;

TEST(CompareCommand, TwoSeedsAgainstAnotherRate) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder);
    std::vector<std::string> compare = {"compare"};
    for (const auto& [name, seed, rate] : {std::tuple("slow-1", "1", "1e-4"),
                                           {"slow-2", "2", "1e-4"},
                                           {"fast-1", "1", "1e-2"},
                                           {"fast-2", "2", "1e-2"}}) {
        ASSERT_EQ(
            run({"train", config, "--run", folder.file(name), "--max-steps", "60", "--set",
                 std::string("train.seed=") + seed, "--set", std::string("optimizer.learning_rate=") + rate, "-q"})
                .code,
            0);
        compare.push_back(folder.file(name));
    }
    compare.insert(compare.end(), {"--html", folder.file("page.html"), "--price", "2", "--watts", "40", "--carbon",
                                   "300", "--latency", "--json"});
    const auto result = run(compare);
    ASSERT_EQ(result.code, 0) << result.err;
    const auto json = result.json();
    EXPECT_EQ(json["schema"], "lithe.compare/1");
    ASSERT_EQ(json["runs"].size(), 4u);
    EXPECT_EQ(json["groups"][0]["name"], "fast (2 seeds)");
    EXPECT_GT(json["groups"][1]["difference"], 0);
    EXPECT_EQ(json["differences"]["optimizer.learning_rate"], (nlohmann::json{"0.0001", "0.0001", "0.01", "0.01"}));
    for (const char* key : {"parameters", "training_flops", "flops_per_token", "seconds", "peak_memory", "milliseconds",
                            "joules", "co2_grams", "cost"})
        EXPECT_GT(json["runs"][0][key], 0) << key;
    EXPECT_EQ(json["runs"][0]["parameters"], run({"info", folder.file("slow-1"), "--json"}).json()["parameters"]);
    const std::string page = testing::read_all(folder.file("page.html")),
                      text = run({"compare", compare[1], compare[3]}).out;
    char bits[32];
    std::snprintf(bits, sizeof bits, "%.4f", json["runs"][0]["bits_per_byte"].get<double>());
    EXPECT_NE(page.find(bits), std::string::npos);
    EXPECT_NE(text.find(bits), std::string::npos) << text;
    EXPECT_EQ(run({"compare", folder.file("absent")}).code, 3);
    EXPECT_EQ(run({"compare"}).code, 2);
    if (testing::find_browser().empty()) GTEST_SKIP() << testing::kNoBrowser;
    const auto opened = testing::open_page(folder, folder.file("page.html"));
    EXPECT_NE(opened.dom.find(bits), std::string::npos);
    EXPECT_NE(opened.dom.find("</svg>"), std::string::npos);
    EXPECT_EQ(opened.console, "");
    EXPECT_LE(opened.width, 360) << "the page is wider than a phone";
    EXPECT_GT(opened.width, 0);
    const auto report = testing::open_page(folder, folder.file("slow-1/report.html"));
    EXPECT_NE(report.dom.find(bits), std::string::npos);
    EXPECT_EQ(report.console, "");
    EXPECT_LE(report.width, 360);
}

TEST(SearchCommand, FindsTrainsAndSaysWhatIsNext) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder);
    const auto result = run({"search", config, "--run", folder.file("s"), "--max-tokens", "1500", "--set",
                             "model.layout=\"?{s u}f\"", "--set", "search.retrain_tokens=300", "--set",
                             "search.random_layouts=1", "--set", "search.baselines=[\"sff\"]", "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    const auto json = result.json();
    EXPECT_EQ(json["schema"], "lithe.search/1");
    const bool other = json["trials"].size() == 3;  // whether the one other layout costs as much
    EXPECT_EQ(json.dump().find("0 random layouts instead of 1") == std::string::npos, other) << json;
    EXPECT_EQ(json["rank"]["of"], json["trials"].size());
    EXPECT_NE(result.err.find(json["rank"]["sentence"].get<std::string>()), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("found.toml"), std::string::npos);
    EXPECT_EQ(run({"info", folder.file("s/found.toml"), "--json"}).json()["layout"], result.json()["layout"]);
    EXPECT_EQ(run({"eval", folder.file("s/trials/0")}).code, 0);
    EXPECT_EQ(run({"search", config, "--method", "guess"}).code, 2);
    EXPECT_NE(run({"search", "--help"}).out.find("search.temperature"), std::string::npos);
    if (testing::find_browser().empty()) GTEST_SKIP() << testing::kNoBrowser;
    const auto opened = testing::open_page(folder, folder.file("s/search.html"));
    EXPECT_NE(opened.dom.find(result.json()["layout"].get<std::string>()), std::string::npos);
    EXPECT_EQ(opened.console, "");
    EXPECT_LE(opened.width, 360);
    EXPECT_GT(opened.width, 0);
}

TEST(EncoderCommand, TrainsOnMaskedTokensAndCannotContinueAText) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder);
    std::vector<std::string> train = {"train", config, "--run", folder.file("r"), "--max-steps", "900", "--json"};
    for (const char* set :
         {"model.layout=(sf)x2", "model.memory=0", "model.direction=bidirectional", "model.positions=learned",
          "model.head=transform", "objective.name=masked", "train.length=32", "train.batch=16", "model.width=32",
          "model.dropout=0", "optimizer.learning_rate=5e-3"})
        train.insert(train.end(), {"--set", set});
    const auto result = run(train);
    ASSERT_EQ(result.code, 0) << result.err;
    // of a text of ten words: far below the entropy of single letters, about 4 bits
    EXPECT_LT(result.json()["valid"]["bits_per_byte"], 2.5) << result.err;
    const auto eval = run({"eval", folder.file("r"), "--json"}).json();
    EXPECT_EQ(eval["protocol"]["objective"], "masked");
    EXPECT_NEAR(eval["tokens"].get<double>(), 0.15 * 1000, 40);
    EXPECT_EQ(eval["bits_per_byte"], run({"eval", folder.file("r"), "--json"}).json()["bits_per_byte"]);
    EXPECT_EQ(run({"generate", folder.file("r"), "--prompt", "the"}).code, 2);
}

// A page goes where the user says, but never over a file that is no page of ours.
TEST(CompareCommand, OverwritesNothingButItsPages) {
    TemporaryFolder folder;
    const std::string config = testing::tiny_config(folder), path = folder.file("r");
    ASSERT_EQ(run({"train", config, "--run", path, "--max-steps", "2", "-q"}).code, 0);
    const std::string metrics = testing::read_all(path + "/metrics.jsonl");
    EXPECT_FAILS(run({"compare", path, "--html", path + "/metrics.jsonl"}), 2, "is there already");
    EXPECT_EQ(testing::read_all(path + "/metrics.jsonl"), metrics);
    EXPECT_FAILS(run({"plan", folder.file("text.txt"), "--max-time", "1s", "--out", config}), 2, "is there already");
    for (int times = 0; times < 2; ++times)
        EXPECT_EQ(run({"compare", path, "--html", folder.file("page.html")}).code, 0);
}

// A folder as WikiText's: words, <eos> at line ends, the frequent ones in a short list.
TEST(WordCorpus, TrainsTransformerXlWithAnAdaptiveSoftmax) {
    TemporaryFolder folder;
    std::string text;
    for (int i = 0; i < 4000; ++i) text += "the w" + std::to_string((i * i + 7 * i) % 61) + (i % 9 ? " of " : "\n");
    folder.write("wiki/train.txt", text);
    folder.write("wiki/valid.txt", text.substr(0, 4000));
    folder.write("wiki/test.txt", text.substr(4000, 3000));
    const std::string config = folder.write(
        "c.toml",
        "[model]\nwidth = 32\nheads = 2\nlayout = \"(sf)x2\"\nmemory = 16\npositions = \"relative\"\n"
        "norm = \"post\"\ntie_embeddings = true\nembedding_init = \"normal\"\n[model.adaptive]\n"
        "cutoffs = \"4/30\"\ndivisor = 2\n[data]\ntokenizer = \"words\"\n[optimizer]\nlearning_rate = 5e-3\n"
        "[schedule]\nname = \"constant\"\nwarmup = 10\n[train]\nbatch = 4\nlength = 16\nlog_every = 50\n"
        "[evaluation]\nlength = 8\nmemory = 24\nmask = \"same_length\"\nclamp_length = 20\n");
    const auto result = run({"train", config, "--run", folder.file("r"), "--set", "data.path=" + folder.file("wiki"),
                             "--max-steps", "300", "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_LT(result.json()["valid"]["perplexity"], 15) << "61 words, every other one is known";
    const auto tested = run({"eval", folder.file("r"), "--data", ":test", "--clamp-length", "10", "--json"});
    ASSERT_EQ(tested.code, 0) << tested.err;
    const auto test = tested.json();
    EXPECT_EQ(test["protocol"]["clamp_length"], 10);
    EXPECT_EQ(test["protocol"]["mask"], "same_length");
    EXPECT_LT(test["perplexity"], 15);
    EXPECT_NE(run({"generate", folder.file("r"), "--prompt", "the w1 of", "--tokens", "20", "--seed", "1"})
                  .out.find(" of the "),
              std::string::npos);
}

// Writes a model's weights under other names; one that gives several is cut into equal parts.
void write_renamed(const std::string& from, const std::string& to,
                   const std::map<std::string, std::vector<std::string>>& names) {
    const std::vector<NamedTensor> tensors = read_tensors(from);
    std::vector<Tensor> kept;
    std::vector<TensorToWrite> list;
    for (const NamedTensor& each : tensors) {
        const std::vector<std::string>& parts = names.at(each.name);
        for (size_t i = 0; i < parts.size(); ++i) {
            kept.push_back(each.tensor.chunk(int64_t(parts.size()))[i].contiguous());
            list.push_back({parts[i], DType::f32, kept.back().sizes().vec(), kept.back().data_ptr()});
        }
    }
    FileWriter writer(to);
    write_safetensors(writer, list, {});
    writer.close();
}

// A model's own weights under the original's names come back as the same model.
void expect_same_after_import(const std::vector<std::string>& settings,
                              const std::map<std::string, std::vector<std::string>>& names) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder);
    auto with_settings = [&](std::vector<std::string> arguments) {
        for (const std::string& each : settings) arguments.insert(arguments.end(), {"--set", each});
        return arguments;
    };
    ASSERT_EQ(run(with_settings({"train", config, "--run", folder.file("r"), "--max-steps", "20", "-q"})).code, 0);
    const std::string saved = folder.file("r/checkpoints/step-000000020");
    write_renamed(saved + "/model.safetensors", folder.file("state.safetensors"), names);
    const auto imported = run(with_settings({"import", folder.file("state.safetensors"), "--config", config, "--out",
                                             folder.file("m"), "--tokenizer", saved + "/tokenizer.json", "--json"}));
    ASSERT_EQ(imported.code, 0) << imported.err;
    EXPECT_EQ(imported.json()["tensors"], names.size());
    EXPECT_EQ(run({"eval", folder.file("m"), "--json"}).json()["bits_per_byte"],
              run({"eval", folder.file("r"), "--json"}).json()["bits_per_byte"]);
}

TEST(ImportCommand, TransformerXl) {
    expect_same_after_import(
        {"model.layout=sf", "model.positions=relative", "model.tie_embeddings=true", "train.precision=fp32"},
        {{"embeddings.tokens", {"word_emb.emb_layers.0.weight"}},
         {"head.bias", {"crit.out_layers.0.bias"}},
         {"position_bias.u", {"r_w_bias"}},
         {"position_bias.v", {"r_r_bias"}},
         {"decoder.layers.0.attention.shell_norm.gain", {"layers.0.dec_attn.layer_norm.weight"}},
         {"decoder.layers.0.attention.shell_norm.bias", {"layers.0.dec_attn.layer_norm.bias"}},
         {"decoder.layers.0.attention.qkv", {"layers.0.dec_attn.qkv_net.weight"}},
         {"decoder.layers.0.attention.positions", {"layers.0.dec_attn.r_net.weight"}},
         {"decoder.layers.0.attention.out", {"layers.0.dec_attn.o_net.weight"}},
         {"decoder.layers.1.feed_forward.shell_norm.gain", {"layers.0.pos_ff.layer_norm.weight"}},
         {"decoder.layers.1.feed_forward.shell_norm.bias", {"layers.0.pos_ff.layer_norm.bias"}},
         {"decoder.layers.1.feed_forward.w1", {"layers.0.pos_ff.CoreNet.0.weight"}},
         {"decoder.layers.1.feed_forward.b1", {"layers.0.pos_ff.CoreNet.0.bias"}},
         {"decoder.layers.1.feed_forward.w2", {"layers.0.pos_ff.CoreNet.3.weight"}},
         {"decoder.layers.1.feed_forward.b2", {"layers.0.pos_ff.CoreNet.3.bias"}}});
}

TEST(ImportCommand, Bert) {
    const std::string layer = "bert.encoder.layer.0.", self = layer + "attention.self.";
    expect_same_after_import(
        {"model.layout=sf", "model.memory=0", "model.direction=bidirectional", "model.norm=post",
         "model.positions=learned", "model.max_positions=8", "model.bert.token_types=2",
         "model.bert.embedding_norm=true", "model.final_norm=false", "model.bert.pooler=true", "model.head=transform",
         "model.tie_embeddings=true", "blocks.s.bias=true", "objective.name=masked", "train.precision=fp32"},
        {{"embeddings.tokens", {"bert.embeddings.word_embeddings.weight"}},
         {"embeddings.positions", {"bert.embeddings.position_embeddings.weight"}},
         {"embeddings.token_types", {"bert.embeddings.token_type_embeddings.weight"}},
         {"embeddings.norm.gain", {"bert.embeddings.LayerNorm.weight"}},
         {"embeddings.norm.bias", {"bert.embeddings.LayerNorm.bias"}},
         {"pooler.weight", {"bert.pooler.dense.weight"}},
         {"pooler.bias", {"bert.pooler.dense.bias"}},
         {"head.bias", {"cls.predictions.bias"}},
         {"head.transform.weight", {"cls.predictions.transform.dense.weight"}},
         {"head.transform.bias", {"cls.predictions.transform.dense.bias"}},
         {"head.norm.gain", {"cls.predictions.transform.LayerNorm.weight"}},
         {"head.norm.bias", {"cls.predictions.transform.LayerNorm.bias"}},
         {"decoder.layers.0.attention.qkv", {self + "query.weight", self + "key.weight", self + "value.weight"}},
         {"decoder.layers.0.attention.qkv_bias", {self + "query.bias", self + "key.bias", self + "value.bias"}},
         {"decoder.layers.0.attention.out", {layer + "attention.output.dense.weight"}},
         {"decoder.layers.0.attention.out_bias", {layer + "attention.output.dense.bias"}},
         {"decoder.layers.0.attention.shell_norm.gain", {layer + "attention.output.LayerNorm.weight"}},
         {"decoder.layers.0.attention.shell_norm.bias", {layer + "attention.output.LayerNorm.bias"}},
         {"decoder.layers.1.feed_forward.w1", {layer + "intermediate.dense.weight"}},
         {"decoder.layers.1.feed_forward.b1", {layer + "intermediate.dense.bias"}},
         {"decoder.layers.1.feed_forward.w2", {layer + "output.dense.weight"}},
         {"decoder.layers.1.feed_forward.b2", {layer + "output.dense.bias"}},
         {"decoder.layers.1.feed_forward.shell_norm.gain", {layer + "output.LayerNorm.weight"}},
         {"decoder.layers.1.feed_forward.shell_norm.bias", {layer + "output.LayerNorm.bias"}}});
}

TEST(Results, TheDocumentsTableIsThatOfTheSummaries) {
    EXPECT_EQ(std::system("python3 " LITHE_SOURCE_FOLDER "/bench/results.py --check --lithe " LITHE_PROGRAM), 0)
        << "bench/results.py writes it anew";
}

TEST(ImportCommand, TellsWhatIsMissing) {
    TemporaryFolder folder;
    const std::string config = tiny_config(folder);
    ASSERT_EQ(run({"train", config, "--run", folder.file("r"), "--max-steps", "2", "-q"}).code, 0);
    const std::string weights = folder.file("r/checkpoints/step-000000002/model.safetensors");
    const auto result =
        run({"import", weights, "--config", config, "--out", folder.file("m"), "--set", "model.layout=sf"});
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_NE(result.err.find("is missing"), std::string::npos) << result.err;
    EXPECT_FALSE(std::filesystem::exists(folder.file("m")));
    EXPECT_EQ(run({"import", weights, "--config", config, "--out", folder.path()}).code, 2) << "exists";
}

}  // namespace
}  // namespace lithe

// The data commands as a user calls them, and what other tokenizers than bytes do to train, eval and generate.
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "support/archives.h"
#include "support/files.h"
#include "support/http_server.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::read_all;
using testing::run;
using testing::tiny_config;

class DataCommand : public ::testing::Test {
 protected:
    void SetUp() override { setenv("XDG_CACHE_HOME", folder.file("cache").c_str(), 1); }
    void TearDown() override { unsetenv("XDG_CACHE_HOME"); }
    nlohmann::json good(std::vector<std::string> arguments) {
        arguments.push_back("--json");
        const auto result = run(arguments);
        EXPECT_EQ(result.code, 0) << result.err;
        return result.json();
    }
    void refused(const std::vector<std::string>& arguments, int code, const std::string& words) {
        const auto result = run(arguments);
        EXPECT_EQ(result.code, code) << result.err;
        EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
    }
    testing::TemporaryFolder folder;
};

TEST_F(DataCommand, LongNgramsOfATextThatIsReadAgainAreWarnedOf) {
    const std::string config = tiny_config(folder), text = folder.write("short.txt", testing::sample_text(400));
    const auto warned = [&](const std::string& ngrams, const std::string& flag, const std::string& budget) {
        const auto result = run({"train", config, "--run", folder.file("run-" + ngrams + budget), flag, budget, "--set",
                                 "data.path=" + text, "--set", "data.split=50/25/25", "--set",
                                 "model.ngrams.lengths=2-" + ngrams, "--set", "model.ngrams.rows=64"});
        EXPECT_EQ(result.code, 0) << result.err;
        const size_t found = result.err.find("the text is read more than once");
        if (found == std::string::npos) return 0;
        return result.err.find("the text is read more than once", found + 1) == std::string::npos ? 1 : 2;
    };
    // 200 bytes to train on, 32 in an update
    EXPECT_EQ(warned("20", "--max-steps", "6"), 0);
    EXPECT_EQ(warned("20", "--max-steps", "7"), 1);
    EXPECT_EQ(warned("6", "--max-steps", "7"), 0);
    EXPECT_EQ(warned("20", "--max-tokens", "192"), 0);
    EXPECT_EQ(warned("20", "--max-tokens", "320"), 1);
    EXPECT_EQ(warned("20", "--max-time", "1s"), 1);
}

TEST_F(DataCommand, TokenizerToTokenSet) {
    const std::string text = folder.write("text.txt", testing::sample_text(100'000)), bpe = folder.file("bpe.json"),
                      set = folder.file("set");
    const auto trained = good({"data", "train-tokenizer", text, "--size", "300", "--out", bpe});
    EXPECT_TRUE(trained["lossless"]);
    EXPECT_LE(trained["vocabulary_size"], 300);
    const auto prepared = good({"data", "prepare", text, "--tokenizer", bpe, "--out", set});
    EXPECT_EQ(prepared["bytes"], 100'000);
    EXPECT_GT(prepared["bytes_per_token"], 2);
    const auto info = good({"data", "info", set});
    EXPECT_EQ(info["tokens"], prepared["tokens"]);
    EXPECT_EQ(info["tokenizer_hash"], trained["hash"]);
    EXPECT_EQ(info["longest_documents"]["train"][0], info["splits"][0]["tokens"]);
    EXPECT_EQ(info["sample"].get<std::string>().substr(0, 20), testing::sample_text(20));
    EXPECT_EQ(good({"data", "verify", set})["result"], "every checksum fits");
    refused({"data", "prepare", text, "--out", set}, 2, "holds a finished token set");
    refused({"data", "prepare", set, "--out", folder.file("again")}, 2, "a token set already");
    refused({"data", "prepare", text, "--tokenizer", folder.file("none.json"), "--out", folder.file("x")}, 2,
            "neither a kind nor a file");
    refused({"data", "prepare", text, "--tokenizer", text, "--out", folder.file("x")}, 3,
            "neither a tokenizer.json nor a SentencePiece model");
    refused({"data", "prepare", text, "--shard", "12", "--out", folder.file("x")}, 2, "at least 64k");
    std::string shard = read_all(set + "/train-00000.tokens");
    shard[5000] ^= 1;
    std::ofstream(set + "/train-00000.tokens", std::ios::binary) << shard;
    refused({"data", "verify", set}, 3, "the checksum of block 0 (offset 4096) does not fit");
}

TEST_F(DataCommand, EncodeAndDecode) {
    const std::string text = folder.write("text.txt", testing::sample_text(20'000)), bpe = folder.file("bpe.json");
    good({"data", "train-tokenizer", text, "--size", "300", "--out", bpe});
    const std::string ids = folder.file("ids");
    const auto encoded =
        run({"data", "encode", bpe, folder.write("lines", "the old mill\n<|endoftext|>\n"), "--lines"});
    EXPECT_EQ(encoded.code, 0);
    EXPECT_EQ(run({"data", "decode", bpe, folder.write("ids", encoded.out)}).out, "the old mill\n<|endoftext|>\n");
    EXPECT_EQ(good({"data", "encode", bpe, folder.file("lines"), "--lines", "--special"})["ids"][1].size(), 1u);
    EXPECT_EQ(run({"data", "decode", bpe,
                   folder.write("hex-ids", run({"data", "encode", bpe, folder.write("hex", "00ff0a\n"), "--hex"}).out),
                   "--hex"})
                  .out,
              "00ff0a\n");
    refused({"data", "encode", bpe, folder.write("bad-hex", "0g\n"), "--hex"}, 2, "not hexadecimal");
    refused({"data", "encode", bpe, folder.write("odd-hex", "012\n"), "--hex"}, 2, "not hexadecimal");
    refused({"data", "decode", bpe, folder.write("bad-ids", "1 x\n")}, 2, "not a token id: x");
    refused({"data", "decode", bpe, folder.write("large-ids", "99999\n")}, 3,
            "token id 99999 is outside the vocabulary");
    refused({"data", "encode", folder.file("none.json")}, 3, "none.json");
    refused({"data", "train-tokenizer", text, "--kind", "unigram", "--size", "5", "--out", bpe}, 2,
            "cannot train this");
    refused({"data", "train-tokenizer", text, "--size", "many", "--out", bpe}, 2, "expected an amount");
}

TEST_F(DataCommand, StandardInputAndArchives) {
    folder.write("text.txt", testing::sample_text(50'000));
    const std::string command = std::string(LITHE_PROGRAM) + " -q data prepare - --out " + folder.file("set") + " < " +
                                folder.file("text.txt") + " > /dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(good({"data", "info", folder.file("set")})["bytes"], 50'000);
    folder.write("valid.txt", "a validation text");
    const auto given = good({"data", "prepare", folder.file("text.txt"), "--valid", folder.file("valid.txt"), "--out",
                             folder.file("given")});
    EXPECT_EQ(given["splits"][0]["bytes"], 50'000);
    EXPECT_EQ(given["splits"][1]["bytes"], 17);
    testing::write_archive(folder.file("a.tar.zst"),
                           {{"b.jsonl", "{\"body\":\"one\"}\n{\"body\":\"two\"}\n"}, {"c.txt", "skipped"}});
    const auto info = good({"data", "prepare", folder.file("a.tar.zst"), "--include", "*.jsonl", "--field", "body",
                            "--split", "100/0/0", "--out", folder.file("tar")});
    EXPECT_EQ(info["documents"], 2);
    EXPECT_EQ(info["bytes"], 6);
    refused({"data", "prepare", folder.file("a.tar.zst"), "--out", folder.file("x")}, 3, "a.tar.zst, member b.jsonl");
}

// What cannot be read is no empty text.
TEST_F(DataCommand, StandardInputThatCannotBeReadIsAnError) {
    const std::string tokenizer = folder.file("bytes.json");
    folder.write("t.txt", "some text\n");
    ASSERT_EQ(run({"data", "train-tokenizer", folder.file("t.txt"), "--size", "257", "--out", tokenizer}).code, 0);
    const int before = dup(STDIN_FILENO), place = open(folder.path().c_str(), O_RDONLY | O_DIRECTORY);
    dup2(place, STDIN_FILENO);
    for (const char* command : {"encode", "decode"})
        EXPECT_FAILS(run({"data", command, tokenizer}), 3, "standard input cannot be read");
    // what cannot be read as text is named as what it is, not by the file that it is kept in
    const int program =
        open(folder.write("program", std::string("\177ELF\2\1\1", 7) + std::string(5000, '\0')).c_str(), O_RDONLY);
    dup2(program, STDIN_FILENO);
    EXPECT_FAILS(run({"data", "prepare", "-", "--out", folder.file("prepared")}), 3,
                 "the file holds no text [standard input]");
    dup2(before, STDIN_FILENO);
    for (const int descriptor : {before, place, program}) close(descriptor);
}

// Train, evaluate and generate with tokens that are not bytes; bits per byte count the bytes of the text.
TEST_F(DataCommand, RunsOnOtherTokens) {
    const std::string config = tiny_config(folder), bpe = folder.file("bpe.json"), path = folder.file("run");
    good({"data", "train-tokenizer", folder.file("text.txt"), "--size", "280", "--out", bpe});
    const auto trained = good({"train", config, "--run", path, "--max-steps", "30", "--set", "data.tokenizer=" + bpe});
    EXPECT_GT(trained["valid"]["bits_per_byte"], 0);
    const auto evaluated = good({"eval", path, "--bytes", "0"});
    EXPECT_NEAR(evaluated["bits_per_byte"].get<double>(),
                evaluated["loss"].get<double>() / std::log(2.0) * evaluated["tokens"].get<double>() /
                    evaluated["bytes"].get<double>(),
                1e-6);
    EXPECT_LT(evaluated["tokens"], evaluated["bytes"]);
    // text by path is read with the model's tokenizer; a token set of another one is refused
    EXPECT_EQ(good({"eval", path, "--data", folder.file("text.txt") + ":all"})["tokens"].get<int>() > 1000, true);
    good({"data", "prepare", folder.file("text.txt"), "--out", folder.file("bytes")});
    refused({"eval", path, "--data", folder.file("bytes") + ":valid"}, 3,
            "another tokenizer than it is to be read with");
    const auto text = run({"generate", path, "--prompt", "the old", "--tokens", "20"});
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_EQ(text.out.substr(0, 7), "the old");
    refused({"train", config, "--run", path, "--max-steps", "40"}, 2, "the tokenizer's hash");
}

TEST_F(DataCommand, RunsOnDocuments) {
    const std::string config = tiny_config(folder), path = folder.file("run");
    const std::vector<std::string> settings = {"--set", "data.documents=line", "--set", "data.order=documents",
                                               "--set", "data.tokenizer=words"};
    std::vector<std::string> arguments = {"train", config, "--run", path, "--max-steps", "20"};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    good(arguments);
    const auto evaluated = good({"eval", path});
    EXPECT_EQ(evaluated["protocol"]["state"], "anew with each document");
    const auto other_text = good({"eval", path, "--data", folder.file("text.txt") + ":valid"});
    EXPECT_EQ(other_text["protocol"]["state"], "anew with each document");
    arguments = {"train", config, "--run", folder.file("lstm"), "--max-steps", "20", "--set", "model.layout=\"l\""};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    good(arguments);
    // several sources in one run
    const std::string other = folder.write("other.txt", testing::sample_text(5000));
    good({"train", config, "--run", folder.file("sources"), "--max-steps", "20", "--set", "data.path=", "--set",
          "data.sources=[\"2 * " + folder.file("text.txt") + "\", \"1 * " + other + "\"]"});
}

// Files that are not ours stay, whatever lies beside them.
TEST_F(DataCommand, AFolderOfSomeoneElseIsLeftAlone) {
    const std::string text = folder.write("text.txt", testing::sample_text(5000));
    folder.write("mine/progress.json", "{\"done\": 3}");
    folder.write("mine/thesis.txt", "years of work");
    refused({"data", "prepare", text, "--out", folder.file("mine")}, 2, "the folder is not empty");
    EXPECT_EQ(read_all(folder.file("mine/thesis.txt")), "years of work");
    EXPECT_EQ(read_all(folder.file("mine/progress.json")), "{\"done\": 3}");
    refused({"data", "train-tokenizer", text, "--size", "270", "--out", text}, 2, "is no tokenizer");
    EXPECT_EQ(read_all(text), testing::sample_text(5000));
    const std::string config = tiny_config(folder);
    folder.write("home/config.toml", "# my own settings\n");
    refused({"train", config, "--run", folder.file("home"), "--max-steps", "1"}, 2,
            "holds a file config.toml that a run would replace");
    EXPECT_EQ(read_all(folder.file("home/config.toml")), "# my own settings\n");
}

// Every command that opens data says how it was split and what was left out.
TEST_F(DataCommand, TheSplitIsSaid) {
    const std::string config = tiny_config(folder), data = folder.file("wiki");
    for (const char* name : {"wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"})
        folder.write(std::string("wiki/") + name, testing::sample_text(4000));
    folder.write("wiki/README", "read me");
    const std::string words = "by names: train 1 file, valid 1, test 1; left out: README (no split in the name)";
    auto says = [&](const std::vector<std::string>& arguments, bool on_stdout = false) {
        const auto result = run(arguments);
        EXPECT_EQ(result.code, 0) << result.err;
        EXPECT_NE((on_stdout ? result.out : result.err).find(words), std::string::npos) << result.err << result.out;
    };
    says({"data", "prepare", data, "--out", folder.file("set")}, true);
    says({"data", "info", folder.file("set")}, true);
    says({"data", "train-tokenizer", data, "--size", "270", "--out", folder.file("bpe.json")}, true);
    says({"train", config, "--run", folder.file("run"), "--max-steps", "2", "--set", "data.path=" + data});
    says({"eval", folder.file("run"), "--data", folder.file("set") + ":test"});
}

// Names and texts are anybody's: nothing of them moves a cursor or changes colours.
TEST_F(DataCommand, EscapesOfNamesAndTextsAreShown) {
    const std::string red =
                          "red\x1b[31m\xC2\x9B"
                          "2J",
                      text = red + testing::sample_text(2000);
    folder.write("t/train " + red + "\n.txt", text);
    folder.write("t/valid.txt", text);
    folder.write("t/other " + red + "\n.txt", "x");
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"data", "info", folder.file("t")},
          {"data", "prepare", folder.file("t"), "--out", folder.file("set " + red)},
          {"data", "info", folder.file("set " + red)},
          {"data", "info", folder.file("nosuch" + red)},
          {"data", "info", folder.file("t"), "--split", red},
          {"train", folder.file("t"), "--max-time", red},
          {"plan", folder.file("t/other " + red + "\n.txt")},
          {"info", folder.file(red)},
          {"compare", folder.file(red)},
          {"eval", folder.file(red)}}) {
        const auto result = run(command);
        for (const std::string& said : {result.out, result.err})
            for (const char* escape : {"\x1b", "\xC2\x9B"})
                EXPECT_EQ(said.find(escape), std::string::npos) << command[0] << " " << command[1] << ": " << said;
    }
    const auto listed = run({"data", "info", folder.file("t")});
    EXPECT_NE(listed.err.find("other red^[[31m^[[2J^J.txt (no split in the name)"), std::string::npos) << listed.err;
}

// A class of a table trains nothing yet: it is said where it is set.
TEST_F(DataCommand, SettingsThatTrainNothingAreTold) {
    const std::string config = tiny_config(folder);
    std::string table = "text,kind\n";
    for (int i = 0; i < 400; ++i) table += "\"" + testing::sample_text(30) + "\"," + std::to_string(i % 2) + "\n";
    const auto result = run({"train", config, "--run", folder.file("run"), "--max-steps", "2", "--set",
                             "data.path=" + folder.write("t.csv", table), "--set", "data.label=kind"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("warning: data.label"), std::string::npos) << result.err;
}

TEST_F(DataCommand, JsonLinesOnStandardInput) {
    folder.write("lines", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
    const std::string command = std::string(LITHE_PROGRAM) + " -q data prepare - --split 100/0/0 --out " +
                                folder.file("set") + " < " + folder.file("lines") + " > /dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    const auto info = good({"data", "info", folder.file("set")});
    EXPECT_EQ(info["documents"], 2);
    EXPECT_EQ(info["bytes"], 6);
}

// The name of the folder holds what stands for it in the table: the command ends, and says how to use it.
TEST_F(DataCommand, GetIntoAFolderNamedDir) {
    testing::write_archive(
        folder.file("RTE.zip"),
        {{"RTE/train.tsv", "text\nt\n"}, {"RTE/dev.tsv", "text\nv\n"}, {"RTE/test.tsv", "text\ns\n"}});
    testing::HttpServer server(
        [&](const std::string& path, int) { return testing::HttpAnswer{.body = read_all(folder.path() + path)}; });
    const std::string out = folder.file("a DIR");
    const auto result = run({"data", "get", "glue-rte", "--out", out, "--mirror", server.url("/")});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("--set 'data.train=" + out + "/train.tsv' --set 'data.valid=" + out + "/valid.tsv'"),
              std::string::npos)
        << result.err;
    EXPECT_EQ(read_all(out + "/train.tsv"), "text\nt\n");
}

}  // namespace
}  // namespace lithe

#include "lithe/spec/config_io.h"

#include <filesystem>

#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

TEST(Config, FileAndFlagsOverrideDefaults) {
    Config config = parse_config("[model]\nwidth = 64\n[train]\nmax_tokens = \"50M\"\nmax_seconds = \"10m\"\n",
                                 "test.toml", {"optimizer.learning_rate=3e-3", "data.path=a b.txt", "model.width=128"});
    EXPECT_EQ(config.model.width, 128);
    EXPECT_EQ(config.train.max_tokens, 50'000'000);
    EXPECT_EQ(config.train.max_seconds, 600);
    EXPECT_EQ(config.optimizer.learning_rate, 3e-3);
    EXPECT_EQ(config.data.path, "a b.txt");
    EXPECT_EQ(config.origins.at("model.width"), "a given setting");
    EXPECT_EQ(config.origins.at("train.max_tokens"), "test.toml line 4");
    EXPECT_EQ(config.origins.count("train.batch"), 0u);
}

TEST(Config, PrintedConfigurationReadsBackTheSame) {
    Config config = parse_config(
        "[model]\nlayout = \"(wf)x2\"\n[blocks.w]\nkind = \"attention\"\nheads = 4\n[data]\npath = \"x\\\"y\"\ninclude "
        "= [\"*.txt\", \"a\"]\n",
        "t", {"schedule.warmup=0.1"});
    EXPECT_TRUE(differences(config, parse_config(to_toml(config), "again")).empty());
    EXPECT_TRUE(differences(config, config_from_json(to_json(config), "json")).empty());
    Config other = config;
    other.train.batch = 7;
    EXPECT_EQ(differences(config, other), std::vector<std::string>{"train.batch: 16 became 7"});
}

// Found by fuzzing: the library's printer breaks values of more than 120 characters over lines.
TEST(Config, LongAndOddTextSurvivesPrinting) {
    Config config =
        parse_config("[blocks.u]\nnote = [\"" + std::string(200, 'y') + "\", 1.5, {a = true}]\n" +
                         std::string(150, 'k') + " = 1979-05-27\n",
                     "t", {"data.path=" + std::string(300, 'x'), "sample.prompt=\"tab\\t quote\\\" \\u0001\""});
    EXPECT_EQ(config.sample.prompt, "tab\t quote\" \x01");
    EXPECT_TRUE(differences(config, parse_config(to_toml(config), "again")).empty());
    EXPECT_TRUE(differences(config, config_from_json(
                                        to_json(parse_config("", "t", {"data.path=" + std::string(300, 'x')})), "json"))
                    .size() > 0);
}

// The origin of a value is a file's name, and a name may hold anything.
TEST(Config, OddOriginsStayInTheirComments) {
    Config config = parse_config("[train]\nbatch = 3\n[blocks.x]\nkind = \"sru\"\nheads = 2\n",
                                 "a\nbatch = 4\r\x1b\x7f\xff/config.toml");
    for (int again = 0; again < 2; ++again) {
        const std::string text = to_toml(config);
        config = parse_config(text, "b\nc.toml");
        EXPECT_EQ(config.train.batch, 3) << text;
        EXPECT_EQ(to_json(config).empty(), false);
    }
}

TEST(Config, TellsEveryProblemInOneGo) {
    try {
        parse_config(
            "[model]\nwidht = 64\nwidth = \"wide\"\ndropout = 2.0\nnorm = \"prae\"\nlayout = \"u(\"\n[trian]\nbatch = "
            "1\n",
            "bad.toml", {"train.batch=-3"});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
        for (const char* words :
             {"unknown key model.widht, did you mean 'width'? [bad.toml line 2]",
              "model.width: expected a whole number, got text", "model.dropout: expected 0 to 0.99, got 2",
              "expected one of pre, post, none, got \"prae\", did you mean 'pre'?",
              "unknown key trian, did you mean 'train'?",
              "train.batch: expected 1 to 1048576, got -3 [a given setting]", "layout, column 2: '(' is never closed",
              "7 problems"})
            EXPECT_NE(std::string(error.what()).find(words), std::string::npos)
                << words << "\nnot in: " << error.what();
    }
}

TEST(Config, RefusesDamagedInput) {
    EXPECT_ERROR(parse_config("[model\nwidth", "t", {}), ErrorKind::usage, "not valid TOML");
    EXPECT_ERROR(parse_config("\xff\xfe", "t", {}), ErrorKind::usage, "not valid UTF-8");
    EXPECT_ERROR(parse_config("", "t", {"novalue"}), ErrorKind::usage, "expected key=value");
    EXPECT_ERROR(parse_config("", "t", {"train.batch.x=1"}), ErrorKind::usage, "train.batch");
    EXPECT_ERROR(parse_config("blocks = 3", "t", {}), ErrorKind::usage, "expected tables");
    EXPECT_ERROR(parse_config("[data]\npath='a'\ntrain='b'", "t", {}), ErrorKind::usage, "exclude each other");
    EXPECT_ERROR(load_config("/nonexistent.toml"), ErrorKind::usage, "cannot read the configuration");
    EXPECT_ERROR(config_from_json("[1]", "config.json"), ErrorKind::bad_file, "not a JSON object");
}

// The parser goes down into each part of a dotted key.
TEST(Config, RefusesEndlessKeys) {
    std::string dotted = "a";
    for (int i = 0; i < 100'000; ++i) dotted += ".a";
    for (const std::string& text :
         {dotted + " = 1", "[" + dotted + "]\nx = 1", "x = {" + dotted + " = 1}", "[[" + dotted + "]]"})
        EXPECT_ERROR(parse_config(text, "test"), ErrorKind::usage, "more than 256 parts");
    EXPECT_ERROR(parse_config("", "test", {dotted + "=1"}), ErrorKind::usage, "more than 256 parts");
    EXPECT_NO_THROW(parse_config("[data]\npath = \"" + std::string(200, '.') + "\"\n", "test"));
}

TEST(Config, VersionsAreKnown) {
    const Config config = parse_config("version = 1\n[evaluation]\ntokens = 7\n", "before");
    EXPECT_EQ(config.evaluation.bytes, 7) << "a name of version 1";
    EXPECT_EQ(to_toml(config).rfind("version = 4\n", 0), 0u);
    EXPECT_TRUE(differences(config, parse_config(to_toml(config), "printed")).empty());
    EXPECT_TRUE(differences(config, config_from_json(to_json(config), "printed")).empty());
    const char* newer = "version = 5\n[model]\nwarp = 9\n";
    EXPECT_ERROR(parse_config(newer, "newer"), ErrorKind::usage, "settings of version 5");
    EXPECT_ERROR(parse_config(newer, "newer"), ErrorKind::usage, "reads up to 4: update lithe");
    EXPECT_ERROR(parse_config(newer, "newer"), ErrorKind::usage, "unknown key model.warp");
    EXPECT_ERROR(parse_config("version = \"new\"\n", "x"), ErrorKind::usage, "expected a whole number from 1 to 4");
}

TEST(Config, ShippedConfigurationsParse) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(LITHE_SOURCE_FOLDER "/configs")) {
        if (entry.path().extension() != ".toml") continue;
        EXPECT_NO_THROW(load_config(entry.path().string())) << entry.path();
        ++count;
    }
    EXPECT_GE(count, 6);
}

TEST(Config, FieldsAreDocumented) {
    auto fields = list_config_fields();
    EXPECT_GT(fields.size(), 50u);
    for (const FieldDoc& field : fields) EXPECT_FALSE(field.help.empty()) << field.path;
}

// What trains nothing is said where it is set: in its help, and when a training begins.
TEST(Config, SettingsThatTrainNothingAreTold) {
    Config config;
    EXPECT_TRUE(unused_settings(config, false).empty());
    config.data.label = "kind";
    config.model.bert.pooler = true;
    config.model.bert.token_types = 2;
    const auto words = unused_settings(config, false);
    ASSERT_EQ(words.size(), 3u);
    const char* names[] = {"data.label", "model.bert.pooler", "model.bert.token_types"};
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(words[i].rfind(names[i], 0), 0u) << words[i];
    config = {};
    config.model.bert.token_types = 1;
    EXPECT_TRUE(unused_settings(config, false).empty());
    config.data.label = "kind";
    config.data.second = "other";
    config.model.bert.pooler = true;
    config.model.bert.token_types = 2;
    EXPECT_TRUE(unused_settings(config, true).empty());
}

}  // namespace
}  // namespace lithe

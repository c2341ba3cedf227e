// [model.encoder] and [model.decoder]: values, where they come from, and what an encoder cannot have.
#include <gtest/gtest.h>

#include "lithe/spec/config_io.h"
#include "support/errors.h"

namespace lithe {
namespace {

// The line of a printed configuration that sets `name` in a section.
std::string line_of(const std::string& text, const std::string& section, const std::string& name) {
    const size_t begin = text.find("\n[" + section + "]\n");
    if (begin == std::string::npos) return "no section " + section;
    const size_t at = text.find("\n" + name + " = ", begin);
    if (at == std::string::npos) return "no setting " + name;
    return text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

constexpr const char* kTwoStacks = R"([model]
width = 64
layout = "(scf)x2"
dropout = 0.25
heads = 2
[model.decoder]
width = 32
[model.encoder]
layout = "(sf)x2"
)";

TEST(ConfigStacks, EachValueSaysWhereItComesFrom) {
    const Config config = parse_config(kTwoStacks, "two.toml", {"model.encoder.heads=4"});
    const std::string text = to_toml(config);
    EXPECT_EQ(line_of(text, "model", "width"), "width = 32  # two.toml line 7") << "the decoder's own";
    EXPECT_EQ(line_of(text, "model", "dropout"), "dropout = 0.25  # two.toml line 4");
    EXPECT_EQ(line_of(text, "model.encoder", "width"), "width = 64  # two.toml line 2") << "that of both";
    EXPECT_EQ(line_of(text, "model.encoder", "layout"), "layout = \"(sf)x2\"  # two.toml line 9");
    EXPECT_EQ(line_of(text, "model.encoder", "heads"), "heads = 4  # a given setting");
    EXPECT_EQ(line_of(text, "model.encoder", "direction"), "direction = \"bidirectional\"  # default");
    EXPECT_EQ(line_of(text, "model.encoder", "norm"), "norm = \"pre\"  # default");
    EXPECT_EQ(text.find("model.decoder"), std::string::npos);
    EXPECT_TRUE(differences(config, parse_config(text, "printed")).empty());
}

TEST(ConfigStacks, AnEncoderHasNoHeadOfItsOwn) {
    const std::string begin = "[model]\nhead_bias = true\n[model.encoder]\n";
    EXPECT_NO_THROW(parse_config(begin + "head_bias = true\n", "test")) << "the same again";
    EXPECT_NO_THROW(parse_config("[model]\nvocabulary_size = 9\n[model.encoder]\nvocabulary_size = 0\n", "test"))
        << "as runs are saved, whose vocabulary is known later";
    for (const char* setting : {"vocabulary_size = 9", "head = \"none\"", "head_bias = false", "tie_embeddings = true"})
        EXPECT_ERROR(parse_config(begin + setting + "\n", "test"), ErrorKind::usage, "model.encoder");
    const Config config = parse_config("[model.encoder]\nwidth = 8\n[model.decoder]\nhead_bias = true\n", "test");
    EXPECT_TRUE(config.encoder->head_bias) << "a model has it once";
    EXPECT_NO_THROW(parse_config(to_toml(config), "printed"));
}

TEST(ConfigStacks, AStackIsATable) {
    EXPECT_ERROR(parse_config("[model]\nencoder = 5\n", "test"), ErrorKind::usage, "expected a table [model.encoder]");
    EXPECT_ERROR(parse_config("[model.encodr]\nwidth = 5\n", "test"), ErrorKind::usage, "unknown stack");
}

}  // namespace
}  // namespace lithe

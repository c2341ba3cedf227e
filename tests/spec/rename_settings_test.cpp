// Settings of earlier versions: read under their names, saved under today's.
#include "lithe/spec/config_io.h"
#include "lithe/spec/migrations.h"
#include "support/errors.h"

namespace lithe {
namespace {

using Lines = std::vector<std::string>;

const char* const kVersion3 = R"(version = 3
[model]
width = 64
ngrams = 9
ngram_lengths = "2-6, 8, 12"
ngram_rows = 40
ngram_width = 4
cutoffs = "4/30"
cutoff_divisor = 2
tie_projections = "none"
cluster_order = "forward"
embedding_norm = true
token_types = 2
pooler = true
head = "adaptive"
)";

const char* const kVersion4 = R"(version = 4
[model]
width = 64
head = "adaptive"
[model.ngrams]
lengths = "2-6, 8"
rows = 40
width = 4
[model.adaptive]
cutoffs = "4/30"
divisor = 2
tie_projections = "none"
cluster_order = "forward"
[model.bert]
embedding_norm = true
token_types = 2
pooler = true
)";

void expect_same(const Config& a, const Config& b) { EXPECT_EQ(differences(a, b), Lines()); }

TEST(RenamedSettings, OfVersion3) {
    const Config before = parse_config(kVersion3, "old.toml"), today = parse_config(kVersion4, "new.toml");
    expect_same(before, today);
    EXPECT_EQ(before.model.ngrams.lengths, "2-6, 8");
    EXPECT_EQ(before.model.adaptive.divisor, 2);
    EXPECT_TRUE(before.model.bert.pooler);
    // saved as of today
    const std::string text = to_toml(before);
    for (const char* words : {"version = 4\n", "\n[model.ngrams]\nlengths = \"2-6, 8\"", "\n[model.adaptive]\ncutoffs",
                              "\n[model.bert]\nembedding_norm = true"})
        EXPECT_NE(text.find(words), std::string::npos) << words << "\nnot in:\n" << text;
    expect_same(parse_config(text, "again"), today);
    expect_same(config_from_json(to_json(before), "again"), today);
}

TEST(RenamedSettings, OfACheckpoint) {
    const char* json =
        R"({"version": 3, "model": {"ngrams": 3, "ngram_lengths": "all", "ngram_rows": 12, "cutoffs": "4/30"}})";
    const Config config = config_from_json(json, "config.json");
    EXPECT_EQ(config.model.ngrams.lengths, "2-3");
    EXPECT_EQ(config.model.ngrams.rows, 12);
    EXPECT_EQ(config.model.adaptive.cutoffs, "4/30");
}

TEST(RenamedSettings, KeepTheirPlacesInTheFile) {
    const Config config = parse_config(kVersion3, "old.toml");
    EXPECT_EQ(config.origins.at("model.ngrams.rows"), "old.toml line 6");
    EXPECT_EQ(config.origins.at("model.bert.pooler"), "old.toml line 14");
    EXPECT_ERROR(parse_config("version = 3\n[model]\ncutoff_divisor = 0\n", "old.toml"), ErrorKind::usage,
                 "model.adaptive.divisor: expected 1 to 1024, got 0 [old.toml line 3]");
}

TEST(RenamedSettings, NgramsThatTwoSettingsSaid) {
    const auto lengths = [](const std::string& text) {
        return parse_config("version = 3\n[model]\n" + text, "old").model.ngrams.lengths;
    };
    EXPECT_EQ(lengths(""), "");
    EXPECT_EQ(lengths("ngrams = 0\n"), "");
    EXPECT_EQ(lengths("ngrams = 0\nngram_lengths = \"2-6\"\n"), "");
    EXPECT_EQ(lengths("ngram_lengths = \"2-6\"\n"), "");
    EXPECT_EQ(lengths("ngrams = 2\n"), "2");
    EXPECT_EQ(lengths("ngrams = 20\nngram_lengths = \"all\"\n"), "2-20");
    EXPECT_EQ(lengths("ngrams = 20\nngram_lengths = \"2-6, 8, 12, 20\"\n"), "2-6, 8, 12, 20");
    EXPECT_EQ(lengths("ngrams = 3\nngram_lengths = \"2-6, 8, 12, 20\"\n"), "2-3");
    EXPECT_EQ(lengths("ngrams = 5\nngram_lengths = \"2,3 , 5\"\n"), "2,3 , 5") << "as it was written";
    EXPECT_ERROR(lengths("ngrams = 1\n"), ErrorKind::usage, "the token itself");
    EXPECT_ERROR(lengths("ngrams = 65\n"), ErrorKind::usage, "from 2 to 64");
    for (const char* none : {"5-8", ""})
        EXPECT_ERROR(lengths("ngrams = 4\nngram_lengths = \"" + std::string(none) + "\"\n"), ErrorKind::usage,
                     "no length up to model.ngrams, 4");
    EXPECT_ERROR(lengths("ngrams = 4\nngram_lengths = \"3, 2\"\n"), ErrorKind::usage, "is not a rising list");
}

TEST(RenamedSettings, OfStacks) {
    const Config before = parse_config(R"(version = 3
[model]
layout = "scf"
ngrams = 6
ngram_rows = 40
token_types = 2
[model.decoder]
ngram_lengths = "2, 4"
embedding_norm = true
[model.encoder]
layout = "sf"
cutoff_divisor = 4
token_types = 3
)",
                                       "old");
    const Config today = parse_config(R"(version = 4
[model]
layout = "scf"
[model.ngrams]
lengths = "2-6"
rows = 40
[model.bert]
token_types = 2
[model.decoder.ngrams]
lengths = "2, 4"
[model.decoder.bert]
embedding_norm = true
[model.encoder]
layout = "sf"
adaptive.divisor = 4
[model.encoder.bert]
token_types = 3
)",
                                      "new");
    expect_same(before, today);
    ASSERT_TRUE(before.encoder);
    EXPECT_EQ(before.encoder->ngrams.lengths, "") << "an encoder has none of its own accord";
    EXPECT_EQ(before.encoder->ngrams.rows, 40);
    EXPECT_EQ(before.encoder->adaptive.divisor, 4);
    EXPECT_EQ(before.encoder->bert.token_types, 3);
    EXPECT_EQ(before.model.ngrams.lengths, "2, 4");
    EXPECT_TRUE(before.model.bert.embedding_norm);
    const std::string text = to_toml(before);
    EXPECT_NE(text.find("\n[model.encoder.bert]\n"), std::string::npos) << text;
    expect_same(parse_config(text, "again"), before);
    expect_same(config_from_json(to_json(before), "again"), before);
    const Config set = parse_config(text, "again", {"model.encoder.bert.token_types=1", "model.ngrams.rows=8"});
    EXPECT_EQ(differences(before, set),
              (Lines{"model.encoder.bert.token_types: 3 became 1", "model.ngrams.rows: 40 became 8"}));
}

TEST(RenamedSettings, AreUnknownToday) {
    const auto told = [](const std::string& text, const std::string& words, const std::vector<std::string>& sets = {}) {
        EXPECT_ERROR(parse_config(text, "new.toml", sets), ErrorKind::usage, words);
    };
    for (const RenamedSetting& each : renamed_settings()) {
        const std::string before = each.before, now = each.now, suggested = "did you mean '" + now + "'?";
        if (before == "model.ngrams") continue;  // a table of today
        const size_t dot = before.find('.');
        const std::string text = "[" + before.substr(0, dot) + "]\n" + before.substr(dot + 1) + " = 7  # line 3\n",
                          words = "unknown key ";
        told("version = 4\n" + text, words + before + ", " + suggested + " [new.toml line 3]");
        told("", words + before + ", " + suggested, {before + "=7"});
    }
    told("version = 4\n[model]\nngrams = 3\n",
         "model.ngrams: expected a table: [model.ngrams], got a whole number 3, did you mean 'model.ngrams.lengths'?");
    told("", "did you mean 'model.ngrams.lengths'?", {"model.ngrams=3"});
    told("version = 4\n[model.encoder]\ntoken_types = 3\n", "did you mean 'model.encoder.bert.token_types'?");
    told("[model.ngram]\nrows = 3\n", "expected encoder or decoder, did you mean 'ngrams'?");
}

// Each for as long as files had it.
TEST(RenamedSettings, ByVersion) {
    EXPECT_EQ(parse_config("version = 1\n[evaluation]\ntokens = 7\n", "old").evaluation.bytes, 7);
    EXPECT_EQ(parse_config("[evaluation]\ntokens = 7\n", "of any").evaluation.bytes, 7);
    EXPECT_ERROR(parse_config("version = 2\n[evaluation]\ntokens = 7\n", "later"), ErrorKind::usage,
                 "did you mean 'evaluation.bytes'?");
    EXPECT_EQ(parse_config("[model]\nngrams = 3\n", "of any").model.ngrams.lengths, "2-3");
    EXPECT_EQ(parse_config("version = 2\n[model]\nhead = \"masked\"\n", "old").model.head, HeadForm::transform);
    EXPECT_ERROR(parse_config("version = 3\n[model]\nhead = \"masked\"\n", "later"), ErrorKind::usage,
                 "expected one of linear, transform, adaptive, none");
    EXPECT_EQ(parse_config("[model]\nhead = \"none\"\n", "new").model.head, HeadForm::none);
}

}  // namespace
}  // namespace lithe

// What earlier versions called things.
#include "lithe/spec/migrations.h"

#include "support/errors.h"

namespace lithe {
namespace {

using Names = std::vector<std::string>;
using Renamed = std::map<std::string, std::string>;

TEST(Migrations, ParametersOfSchema1) {
    const Names today = {"embeddings.tokens",
                         "embeddings.norm.gain",
                         "decoder.layers.0.attention.qkv",
                         "position_bias.u",
                         "decoder.layers.0.attention_2.qkv",
                         "decoder.layers.4.srupp.norm.gain",
                         "decoder.norm.gain",
                         "head.weight",
                         "head.bias"};
    // numbers count every block that was made, also those without parameters; the file's order is another one
    const Names before = {"body.10.srupp.norm.gain",
                          "body.2.attention.qkv",
                          "body.3.attention.qkv",
                          "embedding",
                          "embedding_norm.gain",
                          "final_norm.gain",
                          "head",
                          "head_bias",
                          "position_bias.u"};
    EXPECT_EQ(renamed_parameters(today, before),
              (Renamed{{"body.10.srupp.norm.gain", "decoder.layers.4.srupp.norm.gain"},
                       {"body.2.attention.qkv", "decoder.layers.0.attention.qkv"},
                       {"body.3.attention.qkv", "decoder.layers.0.attention_2.qkv"},
                       {"embedding", "embeddings.tokens"},
                       {"embedding_norm.gain", "embeddings.norm.gain"},
                       {"final_norm.gain", "decoder.norm.gain"},
                       {"head", "head.weight"},
                       {"head_bias", "head.bias"}}));
    EXPECT_TRUE(renamed_parameters(today, today).empty()) << "today's names stay";
}

TEST(Migrations, AdaptiveVocabularyOfSchema1) {
    EXPECT_EQ(renamed_parameters({}, {"vocabulary.0.table", "vocabulary.2.input", "vocabulary.2.output",
                                      "vocabulary.clusters", "vocabulary.cluster_bias", "ngrams"}),
              (Renamed{{"vocabulary.0.table", "embeddings.bins.0.table"},
                       {"vocabulary.2.input", "embeddings.bins.2.projection"},
                       {"vocabulary.2.output", "head.bins.2.projection"},
                       {"vocabulary.clusters", "head.clusters.weight"},
                       {"vocabulary.cluster_bias", "head.clusters.bias"},
                       {"ngrams", "embeddings.ngrams.table"}}));
}

// Whatever the order today: embeddings, the stack, its norm, pooler, head; an adaptive vocabulary came first as a
// whole.
TEST(Migrations, TheOrderOfFlatMomentsIsThatOfSchema1) {
    auto sorted = [](const Names& today) {
        Names names;
        for (size_t i : order_of_schema_1(today)) names.push_back(today[i]);
        return names;
    };
    EXPECT_EQ(
        sorted({"head.bias", "head.weight", "head.transform.weight", "pooler.weight", "decoder.norm.gain",
                "decoder.layers.0.srupp.w1", "position_bias.u", "decoder.layers.1.attention.qkv",
                "embeddings.ngrams.projection", "embeddings.norm.gain", "embeddings.positions", "embeddings.tokens"}),
        (Names{"embeddings.tokens", "embeddings.positions", "embeddings.norm.gain", "embeddings.ngrams.projection",
               "decoder.layers.0.srupp.w1", "position_bias.u", "decoder.layers.1.attention.qkv", "decoder.norm.gain",
               "pooler.weight", "head.transform.weight", "head.weight", "head.bias"}));
    EXPECT_EQ(sorted({"head.bins.0.projection", "head.clusters.weight", "head.clusters.bias", "head.bias",
                      "embeddings.bins.0.table", "embeddings.bins.0.projection", "embeddings.bins.1.table",
                      "embeddings.bins.1.projection", "decoder.layers.0.lstm.w_input"}),
              (Names{"embeddings.bins.0.table", "embeddings.bins.0.projection", "head.bins.0.projection",
                     "embeddings.bins.1.table", "embeddings.bins.1.projection", "head.clusters.weight",
                     "head.clusters.bias", "head.bias", "decoder.layers.0.lstm.w_input"}));
}

TEST(Migrations, TensorsBesideTheMomentsOfSchema1) {
    const Names tables = {"embeddings.ngrams.table"};
    EXPECT_EQ(renamed_in_optimizer("table.0", tables), "table_sum/embeddings.ngrams.table");
    EXPECT_EQ(renamed_in_optimizer("table.1", tables), "table.1") << "a table that there is not";
    EXPECT_EQ(renamed_in_optimizer("2.0.memory:1:0", tables), "carried/2.0.memory:1:0");
    EXPECT_EQ(renamed_in_optimizer("search/2.c:0:-1", tables), "search/carried/2.c:0:-1");
    EXPECT_EQ(renamed_in_optimizer("architecture.0.logits", tables), "search/architecture.0.logits");
    EXPECT_EQ(renamed_in_optimizer("m", tables), "m");
}

TEST(Migrations, StateOfSchema1) {
    const nlohmann::json config = {{"train", {{"precision", "bf16"}, {"parts", 2}, {"threads", 0}}}};
    nlohmann::json state = {{"schema", "lithe.state/1"}, {"step", 7}, {"updates", 5}};
    migrate_state(state, config);
    EXPECT_EQ(state, (nlohmann::json{{"schema", "lithe.state/3"},
                                     {"step", 7},
                                     {"optimizer", {{"updates", 5}}},
                                     {"machine", {{"precision", "bf16"}, {"parts", 2}}}}));
    const nlohmann::json today = state;
    migrate_state(state, config);
    EXPECT_EQ(state, today) << "it is of today already";
    state = {{"schema", "lithe.state/1"}, {"step", 7}};
    migrate_state(state, {});
    EXPECT_EQ(state["optimizer"]["updates"], 7) << "older ones left no update out";
}

TEST(Migrations, StateOfSchema2) {
    nlohmann::json state = {{"schema", "lithe.state/2"},
                            {"step", 7},
                            {"evaluated_step", 5},
                            {"evaluated_seconds", 1.5},
                            {"evaluations", 2},
                            {"without_best", 1},
                            {"best_score", 1.25},
                            {"best_step", 3},
                            {"skipped", 4},
                            {"skipped_in_row", 0},
                            {"settled", true},
                            {"stopped_early", true},
                            {"search", {{"begin", 2}}},
                            {"machine", {{"parts", 2}}}};
    migrate_state(state, {});
    EXPECT_EQ(state, (nlohmann::json{{"schema", "lithe.state/3"},
                                     {"step", 7},
                                     {"evaluation",
                                      {{"step", 5},
                                       {"train_seconds", 1.5},
                                       {"evaluations", 2},
                                       {"without_best", 1},
                                       {"best_score", 1.25},
                                       {"best_step", 3}}},
                                     {"failures", {{"skipped", 4}, {"skipped_in_row", 0}}},
                                     {"search", {{"begin", 2}, {"settled", true}}},
                                     {"machine", {{"parts", 2}}}}));
}

TEST(Migrations, SchemasAreNumbers) {
    EXPECT_EQ(schema_number("lithe.state/1", "lithe.state", 2, "s"), 1);
    EXPECT_EQ(schema_number("lithe.state/2", "lithe.state", 2, "s"), 2);
    EXPECT_ERROR(schema_number("lithe.state/3", "lithe.state", 2, "s"), ErrorKind::bad_file, "update lithe");
    for (const char* other : {"lithe.state/", "lithe.state/0", "lithe.state/-1", "lithe.state/1x", "lithe.run/1", ""})
        EXPECT_ERROR(schema_number(other, "lithe.state", 2, "s"), ErrorKind::bad_file, "none of lithe's");
}

}  // namespace
}  // namespace lithe

// What earlier versions called things.
#include "lithe/spec/migrations.h"

#include <gtest/gtest.h>

namespace lithe {
namespace {

using Names = std::vector<std::string>;
using Renamed = std::map<std::string, std::string>;

TEST(Migrations, ParametersOfSchema1) {
    const Names today = {"embeddings.tokens", "embeddings.norm.gain", "decoder.layers.0.attention.qkv",
                         "position_bias.u", "decoder.layers.0.attention_2.qkv", "decoder.layers.4.srupp.norm.gain",
                         "decoder.norm.gain", "head.weight", "head.bias"};
    // numbers count every block that was made, also those without parameters; the file's order is another one
    const Names before = {"body.10.srupp.norm.gain", "body.2.attention.qkv", "body.3.attention.qkv", "embedding",
                          "embedding_norm.gain", "final_norm.gain", "head", "head_bias", "position_bias.u"};
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

}  // namespace
}  // namespace lithe

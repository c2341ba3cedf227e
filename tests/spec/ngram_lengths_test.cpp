#include "lithe/spec/ngram_lengths.h"

#include "lithe/spec/config_io.h"
#include "support/errors.h"

namespace lithe {
namespace {

using Lengths = std::vector<int64_t>;

TEST(NgramLengths, Lists) {
    EXPECT_EQ(parse_ngram_lengths(""), Lengths());
    EXPECT_EQ(parse_ngram_lengths("2-4, 8,12 , 20"), (Lengths{2, 3, 4, 8, 12, 20}));
    EXPECT_EQ(parse_ngram_lengths("64"), (Lengths{64}));
    EXPECT_EQ(longest_ngram("2-4, 8"), 8);
    EXPECT_EQ(longest_ngram(""), 0);
    for (const char* wrong : {"all", "3, 2", "2, 2", "4-2", "2-", "-4", "2 3", "2,,3", "two", "65", "2-99999999999"})
        EXPECT_ERROR(parse_ngram_lengths(wrong), ErrorKind::usage, "model.ngrams.lengths is not a rising list");
    for (const char* one : {"1", "1-3"}) EXPECT_ERROR(parse_ngram_lengths(one), ErrorKind::usage, "the token itself");
}

TEST(NgramLengths, AreWrittenShort) {
    for (const char* text : {"", "2", "2-3", "2-6, 8, 12, 20", "3, 5-6"})
        EXPECT_EQ(ngram_lengths_text(parse_ngram_lengths(text)), text);
}

TEST(NgramLengths, AreCheckedWhenTheyAreRead) {
    EXPECT_ERROR(parse_config("[model.ngrams]\nlengths = \"3, 2\"\n", "test"), ErrorKind::usage,
                 "model.ngrams.lengths");
    EXPECT_ERROR(parse_config("[model.encoder.ngrams]\nlengths = \"1\"\n", "test"), ErrorKind::usage,
                 "model.encoder.ngrams.lengths");
}

TEST(NgramLengths, ANumberOfAFlagIsText) {
    EXPECT_EQ(parse_config("", "test", {"model.ngrams.lengths=2"}).model.ngrams.lengths, "2");
    EXPECT_ERROR(parse_config("[model.ngrams]\nlengths = 2\n", "test"), ErrorKind::usage, "text in quotes");
}

}  // namespace
}  // namespace lithe

// What each token stands for: the sum over a text's tokens is the text.
#include "lithe/base/text.h"
#include "support/errors.h"
#include "support/trained_tokenizer.h"

namespace lithe {
namespace {

uint64_t bytes_of(const Tokenizer& tokenizer, const std::string& text) {
    uint64_t sum = 0;
    for (const int64_t id : tokenizer.encode(text)) sum += tokenizer.text_bytes(int32_t(id));
    return sum;
}

TEST(TextBytes, LosslessTokenizersCountEveryByte) {
    for (const char* kind : {"bytes", "characters", "bpe"}) {
        const auto tokenizer = testing::train_tokenizer({.kind = kind, .size = 600}, testing::varied_text());
        ASSERT_TRUE(tokenizer->lossless()) << kind;
        EXPECT_EQ(bytes_of(*tokenizer, testing::varied_text()), testing::varied_text().size()) << kind;
    }
    const auto bpe = testing::train_tokenizer({.kind = "bpe", .size = 600}, testing::varied_text());
    EXPECT_EQ(bpe->text_bytes(int32_t(*bpe->document_end())), 0u);
    EXPECT_EQ(bytes_of(*bpe, "\xE4\xB8\xAD\xFF"), 4u);  // bytes that are no characters of their own
}

TEST(TextBytes, PiecesCountTheirSpaces) {
    const std::string text = "some words and more words and some more";
    for (const char* kind : {"unigram", "sentencepiece-bpe"}) {
        const auto pieces = testing::train_tokenizer({.kind = kind, .size = 500}, testing::varied_text());
        const auto bytes = double(bytes_of(*pieces, text));
        EXPECT_NEAR(bytes, double(text.size()), 1) << kind;  // SentencePiece puts a space before the text
        EXPECT_EQ(pieces->text_bytes(int32_t(*pieces->unknown())), 0u) << kind;
    }
    const auto words = testing::train_tokenizer({.kind = "words", .size = 0}, text + "\n");
    EXPECT_EQ(bytes_of(*words, text + "\n"), text.size() + 2);
}

TEST(TextBytes, UnknownTokensStandForNothing) {
    const auto characters =
        testing::train_tokenizer({.kind = "characters", .size = 0, .min_count = 2}, "aab\xE4\xB8\x96\xE4\xB8\x96");
    EXPECT_EQ(*characters->unknown(), 0);
    EXPECT_EQ(bytes_of(*characters, "ab\xE4\xB8\x96"), 4u);
    const auto words = testing::train_tokenizer({.kind = "words", .size = 0, .min_count = 2}, "two two one\n");
    EXPECT_EQ(bytes_of(*words, "two one"), 4u);
    EXPECT_FALSE(words->text_end());
    const auto pipeline = tokenizer_from_json(
        R"({"decoder":{"type":"WordPiece","prefix":"##","cleanup":false},"pre_tokenizer":{"type":"WhitespaceSplit"},
            "model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"[UNK]":0,"a":1,"##b":2,"long":3}}})",
        "test");
    EXPECT_EQ(*pipeline->unknown(), 0);
    EXPECT_EQ(bytes_of(*pipeline, "ab long zz"), 8u);  // "ab long" and the space before "a"
}

TEST(TextBytes, WhatAVocabularyExpresses) {
    const auto letters = testing::train_tokenizer({.kind = "characters", .size = 0}, "the mill");
    EXPECT_TRUE(expresses(*letters, "him"));
    EXPECT_FALSE(expresses(*letters, "The"));
    EXPECT_EQ(neutral_prompt(*letters), " ");
    EXPECT_EQ(neutral_prompt(*testing::train_tokenizer({.kind = "bytes", .size = 0}, "ba")), "a");
    EXPECT_EQ(neutral_prompt(*testing::train_tokenizer({.kind = "words", .size = 0}, "the mill\n")), "\n");
    const auto rare = testing::train_tokenizer({.kind = "characters", .size = 0, .min_count = 2}, "aab\n");
    EXPECT_FALSE(expresses(*rare, "b"));
    EXPECT_EQ(neutral_prompt(*rare), "a");
}

// What a model makes of its text must not move the cursor, change colours or a window's title.
TEST(TextBytes, TextForATerminalHasNoControlCharacters) {
    EXPECT_EQ(for_terminal("a\x1B[31mred\x07\r\n\tb\x7F"), "a^[[31mred^G\n\tb^?");
    EXPECT_EQ(for_terminal("\xC2\x9B"
                           "31m\xC2\xA0\xC3\xA9\xFF"),
              "^[[31m\xC2\xA0\xC3\xA9\xEF\xBF\xBD");
}

}  // namespace
}  // namespace lithe

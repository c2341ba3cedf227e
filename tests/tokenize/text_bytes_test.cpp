// What each token stands for: the sum over a text's tokens is the text.
#include "lithe/base/text.h"
#include "lithe/tokenize/trainer.h"
#include "support/errors.h"
#include "support/random_text.h"

namespace lithe {
namespace {

TokenizerPtr train(TokenizerTrainingOptions options, const std::string& text) {
    auto trainer = make_tokenizer_trainer(options);
    trainer->feed(text);
    return trainer->finish();
}

std::string long_text() {
    std::string text;
    for (uint64_t i = 0; i < 200; ++i) text += testing::random_text(i) + "\nsome words and more words\n";
    return text;
}

uint64_t bytes_of(const Tokenizer& tokenizer, const std::string& text) {
    uint64_t sum = 0;
    for (const int64_t id : tokenizer.encode(text)) sum += tokenizer.text_bytes(int32_t(id));
    return sum;
}

TEST(TextBytes, LosslessTokenizersCountEveryByte) {
    for (const char* kind : {"bytes", "characters", "bpe"}) {
        const auto tokenizer = train({.kind = kind, .size = 600}, long_text());
        ASSERT_TRUE(tokenizer->lossless()) << kind;
        EXPECT_EQ(bytes_of(*tokenizer, long_text()), long_text().size()) << kind;
    }
    const auto bpe = train({.kind = "bpe", .size = 600}, long_text());
    EXPECT_EQ(bpe->text_bytes(int32_t(*bpe->document_end())), 0u);
    EXPECT_EQ(bytes_of(*bpe, "\xE4\xB8\xAD\xFF"), 4u);  // bytes that are no characters of their own
}

TEST(TextBytes, PiecesCountTheirSpaces) {
    const std::string text = "some words and more words and some more";
    for (const char* kind : {"unigram", "sentencepiece-bpe"}) {
        const auto pieces = train({.kind = kind, .size = 500}, long_text());
        const auto bytes = double(bytes_of(*pieces, text));
        EXPECT_NEAR(bytes, double(text.size()), 1) << kind;  // SentencePiece puts a space before the text
        EXPECT_EQ(pieces->text_bytes(int32_t(*pieces->unknown())), 0u) << kind;
    }
    const auto words = train({.kind = "words", .size = 0}, text + "\n");
    EXPECT_EQ(bytes_of(*words, text + "\n"), text.size() + 2);
}

TEST(TextBytes, UnknownTokensStandForNothing) {
    const auto characters = train({.kind = "characters", .size = 0, .min_count = 2}, "aab\xE4\xB8\x96\xE4\xB8\x96");
    EXPECT_EQ(*characters->unknown(), 0);
    EXPECT_EQ(bytes_of(*characters, "ab\xE4\xB8\x96"), 4u);
    const auto words = train({.kind = "words", .size = 0, .min_count = 2}, "two two one\n");
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
    const auto letters = train({.kind = "characters", .size = 0}, "the mill");
    EXPECT_TRUE(expresses(*letters, "him"));
    EXPECT_FALSE(expresses(*letters, "The"));
    EXPECT_EQ(neutral_prompt(*letters), " ");
    EXPECT_EQ(neutral_prompt(*train({.kind = "bytes", .size = 0}, "ba")), "a");
    EXPECT_EQ(neutral_prompt(*train({.kind = "words", .size = 0}, "the mill\n")), "\n");
    const auto rare = train({.kind = "characters", .size = 0, .min_count = 2}, "aab\n");
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

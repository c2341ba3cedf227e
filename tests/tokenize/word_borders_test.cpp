// Words by what tokens say, for every kind of tokenizer.
#include "lithe/tokenize/word_borders.h"

#include "lithe/tokenize/bytes.h"
#include "support/trained_tokenizer.h"

namespace lithe {
namespace {

// The text with a bar before each token that begins a word.
std::string marked(const Tokenizer& tokenizer, const std::string& text) {
    const WordBorders borders(tokenizer);
    const std::vector<int64_t> ids = tokenizer.encode(text);
    std::string out, before;
    for (size_t i = 0; i < ids.size(); ++i) {
        const std::string now = tokenizer.decode(std::vector<int64_t>(ids.begin(), ids.begin() + int64_t(i) + 1));
        if (i == 0 || borders.between(ids[i - 1], ids[i])) out += "|";
        out += now.substr(before.size());
        before = now;
    }
    return out;
}

const std::string kText = "The cat's 2 eyes, it said -- nay.\n\n  Really?";

TEST(WordBorders, OfBytes) {
    const tokenize::ByteTokenizer bytes;
    EXPECT_EQ(marked(bytes, kText), "|The| cat|'|s| 2| eyes|,| it| said| --| nay|.|\n\n  Really|?");
    EXPECT_EQ(marked(bytes, "caf\xC3\xA9 au_lait"), "|caf\xC3\xA9| au_lait") << "part of a character is a letter";
}

// Each piece of GPT-2's splitting rule begins a word, whatever merges there are.
TEST(WordBorders, OfBytePairs) {
    const std::string corpus = testing::varied_text() + kText;
    for (const int64_t size : {260, 300, 400}) {
        const auto bpe = testing::train_tokenizer({.kind = "bpe", .size = size}, corpus);
        const std::string words = marked(*bpe, "some words and more words, less");
        EXPECT_EQ(words, "|some| words| and| more| words|,| less") << size;
    }
}

TEST(WordBorders, OfSentencePiece) {
    const std::string corpus = testing::varied_text() + kText;
    for (const char* kind : {"unigram", "sentencepiece-bpe"}) {
        const auto pieces = testing::train_tokenizer({.kind = kind, .size = 400}, corpus);
        EXPECT_EQ(marked(*pieces, "some words and more"), "|some| words| and| more") << kind;
    }
}

TEST(WordBorders, OfWordPiecesAndOfTokensWithoutText) {
    const auto pieces = tokenizer_from_json(
        R"({"decoder":{"type":"WordPiece","prefix":"##","cleanup":false},"pre_tokenizer":{"type":"WhitespaceSplit"},
            "added_tokens":[{"id":4,"content":"[SEP]","special":true,"single_word":false,"lstrip":false,
            "rstrip":false,"normalized":false}],
            "model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"[UNK]":0,"a":1,"##b":2,"long":3}}})",
        "test");
    const WordBorders borders(*pieces);
    EXPECT_FALSE(borders.between(1, 2)) << "a ##b";
    EXPECT_FALSE(borders.between(2, 2)) << "##b ##b";
    EXPECT_TRUE(borders.between(1, 3)) << "a long";
    EXPECT_TRUE(borders.between(2, 1)) << "##b a";
    EXPECT_TRUE(borders.between(1, 4)) << "a [SEP]";
    EXPECT_TRUE(borders.between(4, 2)) << "[SEP] ##b";
    EXPECT_TRUE(borders.between(1, 99)) << "an id that an objective added";
}

}  // namespace
}  // namespace lithe

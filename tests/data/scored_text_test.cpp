#include "lithe/data/scored_text.h"

#include <gtest/gtest.h>

#include "support/trained_tokenizer.h"

namespace lithe {
namespace {

class Tokens : public TokenView {
 public:
    Tokens(std::vector<int64_t> ids, uint64_t bytes) : ids_(std::move(ids)), bytes_(bytes) {}
    uint64_t size() const override { return ids_.size(); }
    uint64_t bytes() const override { return bytes_; }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        std::copy_n(ids_.begin() + int64_t(begin), count, out);
    }

 private:
    std::vector<int64_t> ids_;
    uint64_t bytes_;
};

struct Encoded {
    TokenizerPtr tokenizer;
    Tokens tokens;
    ScoredText text{tokens, *tokenizer};
    Encoded(TokenizerPtr made, const std::string& content)
        : tokenizer(std::move(made)),
          tokens(tokenizer->encode(content), content.size()) {}
};

// The first half has one byte a character, the second three: their average says nothing of either.
TEST(ScoredText, BytesAreThoseOfTheTokens) {
    std::string content(600, 'a');
    for (int i = 0; i < 400; ++i) content += "\xE4\xB8\x96";
    const Encoded characters(testing::train_tokenizer({.kind = "characters", .size = 0}, content), content);
    EXPECT_EQ(characters.text.bytes_of(0), 1);
    EXPECT_EQ(characters.text.bytes_of(1), 3);
    EXPECT_EQ(characters.text.unspoken_of(1), 0);
    const Encoded bytes(testing::train_tokenizer({.kind = "bytes", .size = 0}, content), content);
    for (const uint64_t limit : {0u, 1u, 599u, 600u, 900u, 1799u, 1800u, 9999u}) {
        const uint64_t within = std::min<uint64_t>(limit, 1800);
        EXPECT_EQ(bytes.text.tokens_within(limit), within);
        EXPECT_EQ(characters.text.tokens_within(limit), within <= 600 ? within : 600 + (within - 600) / 3);
    }
}

TEST(ScoredText, UnknownTokensStandForWhatIsLeft) {
    std::string content;
    for (int i = 0; i < 500; ++i) content += "mill rare" + std::to_string(100 + i) + " ";
    const Encoded words(testing::train_tokenizer({.kind = "words", .size = 0, .min_count = 2}, content), content);
    const int64_t unknown = *words.tokenizer->unknown();
    EXPECT_NEAR(words.text.bytes_of(unknown), 8, 1e-9);  // "rare123 "
    EXPECT_EQ(words.text.unspoken_of(unknown), words.text.bytes_of(unknown));
    EXPECT_EQ(words.text.unspoken_of(words.tokens.size() > 0 ? words.tokenizer->encode("mill")[0] : 0), 0);
    EXPECT_EQ(words.text.tokens_within(1300), 200u);
}

// A tokenizer that drops what it does not know, and has no token for it.
TEST(ScoredText, DroppedTextIsSpreadOverTheTokens) {
    const auto dropping = tokenizer_from_json(
        R"({"normalizer":{"type":"Replace","pattern":{"String":"z"},"content":""},"decoder":{"type":"Fuse"},
            "pre_tokenizer":{"type":"Split","pattern":{"Regex":"."},"behavior":"Isolated"},
            "model":{"type":"WordLevel","vocab":{"a":0,"b":1},"unk_token":"a"}})",
        "test");
    std::string content;
    for (int i = 0; i < 100; ++i) content += "bzbz";
    const Encoded half(dropping, content);
    EXPECT_NEAR(half.text.bytes_of(1), 2, 1e-9);
    EXPECT_NEAR(half.text.unspoken_of(1), 1, 1e-9);
}

TEST(ScoredText, WithoutATokenizerAllTokensAreAlike) {
    const Tokens tokens({0, 1, 2, 3}, 10);
    const ScoredText even(tokens);
    EXPECT_EQ(even.bytes_of(3), 2.5);
    EXPECT_EQ(even.tokens_within(7), 2u);
    EXPECT_EQ(even.tokens_within(100), 4u);
}

}  // namespace
}  // namespace lithe

// What is masked: shares, whole words, SpanBERT's lengths and counts.
#include "lithe/objectives/masking.h"

#include <cmath>
#include <map>

#include "lithe/tokenize/bytes.h"
#include "support/trained_tokenizer.h"

namespace lithe {
namespace {

Masking masking_of(MaskUnit unit, const Tokenizer& tokenizer = tokenize::ByteTokenizer()) {
    MaskingValues values;
    values.mask_unit = unit;
    return values.masking(tokenizer);
}

MaskRow row_of(const Tokenizer& tokenizer, const std::string& text) {
    MaskRow row;
    row.ids = tokenizer.encode(text);
    return row;
}

std::string some_words(int count) {
    std::string text;
    for (uint64_t i = 0; i < uint64_t(count); ++i)
        text += (i ? " " : "") + std::string(1 + random_bits(1, i) % 9, char('a' + i % 26));
    return text;
}

TEST(Masking, SharesAreAsTheyWereAskedFor) {
    const Masking masking{.rate = .15, .mask_share = .8, .random_share = .1, .mask_id = 99, .vocabulary = 50};
    constexpr int kTokens = 200'000;
    const MaskRow row{.ids = std::vector<int64_t>(kTokens, 7)};
    double scored = 0, masked = 0, kept = 0;
    for (const auto& choice : masking.choose(row, 5)) {
        if (!choice.scored) {
            EXPECT_EQ(choice.input, 7);
            continue;
        }
        ++scored;
        masked += choice.input == 99;
        kept += choice.input == 7;
        EXPECT_TRUE(choice.input == 99 || (choice.input >= 0 && choice.input < 50));
    }
    EXPECT_NEAR(scored / kTokens, .15, .0025);  // three standard errors
    EXPECT_NEAR(masked / scored, .8, .007);
    EXPECT_NEAR(kept / scored, .1 + .1 / 50, .006);
    const MaskRow later{.ids = std::vector<int64_t>(10, 7), .first = 100};
    const auto all = masking.choose(row, 5), part = masking.choose(later, 5);
    for (size_t t = 0; t < 10; ++t) EXPECT_EQ(part[t].input, all[100 + t].input) << "a token is drawn by its place";
}

// Every word is hidden with all of its tokens, or none of them; of bytes and of byte pairs.
TEST(Masking, WordsAreTakenWhole) {
    const std::string text = some_words(3000);
    const auto bpe = testing::train_tokenizer({.kind = "bpe", .size = 290}, text);
    const tokenize::ByteTokenizer bytes;
    for (const Tokenizer* tokenizer : {static_cast<const Tokenizer*>(&bytes), bpe.get()}) {
        const Masking masking = masking_of(MaskUnit::words, *tokenizer);
        const MaskRow row = row_of(*tokenizer, text);
        const auto choices = masking.choose(row, 3);
        double words = 0, taken = 0, longer = 0, tokens = 0, masked = 0, kept = 0;
        for (size_t t = 0; t < choices.size(); ++t) {
            const bool begins = t == 0 || masking.borders->between(row.ids[t - 1], row.ids[t]);
            words += begins;
            taken += begins && choices[t].scored;
            longer += !begins;
            tokens += choices[t].scored;
            if (!begins) { EXPECT_EQ(choices[t].scored, choices[t - 1].scored); }
            masked += choices[t].input == masking.mask_id;
            kept += choices[t].scored && choices[t].input == row.ids[t];
        }
        EXPECT_EQ(words, 3000);
        EXPECT_GT(longer, 1000) << "words of several tokens";
        EXPECT_NEAR(taken / words, .15, .02);  // three standard errors
        EXPECT_NEAR(masked / tokens, .8, .06);
        EXPECT_NEAR(kept / tokens, .1, .05);
    }
}

// Joshi et al. 2020, section 3.1: p = 0.2, at most 10 words, 3.8 in the mean.
TEST(Masking, SpansHaveSpanBertsLengths) {
    const Masking masking = masking_of(MaskUnit::spans);
    constexpr int kDraws = 100'000;
    std::map<int64_t, double> share;
    double mean = 0;
    for (uint64_t draw = 0; draw < kDraws; ++draw) {
        const int64_t length = masking.span_length(9, draw);
        share[length] += 1.0 / kDraws;
        mean += double(length) / kDraws;
    }
    ASSERT_EQ(share.size(), 10u);
    for (const auto& [length, of_all] : share) {
        const double expected = .2 * std::pow(.8, double(length - 1)) / (1 - std::pow(.8, 10));
        EXPECT_NEAR(of_all, expected, 4 * std::sqrt(expected / kDraws)) << length;
    }
    EXPECT_NEAR(mean, 3.797, .03);
    Masking one = masking;
    one.span_end = 1;
    EXPECT_EQ(one.span_length(9, 4), 1);
}

struct Spans {
    double tokens = 0, masked = 0, words = 0, spans = 0;
};

// Spans begin with words; the tokens of one are all masked, all random, or all kept.
Spans checked_spans(const Masking& masking, const MaskRow& row, uint64_t key) {
    const auto choices = masking.choose(row, key);
    Spans sums;
    for (size_t t = 0; t < choices.size(); ++t) {
        if (!choices[t].scored) {
            EXPECT_EQ(choices[t].input, row.ids[t]);
            continue;
        }
        const bool word = t == 0 || masking.borders->between(row.ids[t - 1], row.ids[t]);
        const bool span = t == 0 || !choices[t - 1].scored;
        const bool masked = choices[t].input == masking.mask_id;
        if (span) { EXPECT_TRUE(word) << "a span begins in a word"; }
        if (!span) { EXPECT_EQ(masked, choices[t - 1].input == masking.mask_id) << "a span is masked in part"; }
        ++sums.tokens;
        sums.masked += masked;
        sums.words += word;
        sums.spans += span;
    }
    return sums;
}

TEST(Masking, SpansFillTheShareAndAreMaskedAlike) {
    const tokenize::ByteTokenizer bytes;
    const Masking masking = masking_of(MaskUnit::spans);
    const MaskRow row = row_of(bytes, some_words(200));
    Spans all;
    constexpr int kRows = 300;
    for (uint64_t key = 0; key < kRows; ++key) {
        const Spans one = checked_spans(masking, row, key);
        EXPECT_EQ(one.tokens, std::ceil(.15 * double(row.ids.size())));
        all.tokens += one.tokens;
        all.masked += one.masked;
        all.words += one.words;
        all.spans += one.spans;
    }
    EXPECT_NEAR(all.masked / all.tokens, .8, .025);
    EXPECT_GT(all.words / all.spans, 3.3) << "spans that meet are longer, those cut by the count shorter";
    EXPECT_LT(all.words / all.spans, 4.3);
}

TEST(Masking, SpansStayInTheirDocumentsAndOutOfPadding) {
    const tokenize::ByteTokenizer bytes;
    Masking masking = masking_of(MaskUnit::spans);
    masking.rate = .5;
    masking.span_end = .01;
    masking.longest_span = 1000;
    masking.mask_share = 1;
    masking.random_share = 0;
    MaskRow row = row_of(bytes, "aa bb cc dd ee ffGG HH II JJ KK LL");
    row.flags.assign(row.ids.size(), 0);
    row.flags[17] = kDocumentBegins;  // the first G, which no sign separates from f
    for (size_t t = 29; t < row.flags.size(); ++t) row.flags[t] = kPadding;
    int across = 0, joined = 0;
    for (uint64_t key = 0; key < 200; ++key) {
        const auto choices = masking.choose(row, key);
        int taken = 0;
        for (size_t t = 0; t < choices.size(); ++t) {
            taken += choices[t].scored;
            if (t >= 29) { EXPECT_FALSE(choices[t].scored) << "padding"; }
        }
        EXPECT_EQ(taken, 15) << "half of 29 tokens";
        across += choices[16].scored && choices[17].scored;
        row.flags[17] = 0;
        const auto one_document = masking.choose(row, key);
        joined += one_document[16].scored && one_document[17].scored;
        row.flags[17] = kDocumentBegins;
    }
    EXPECT_LT(across, joined / 2) << "both only where a second span begins there";
}

}  // namespace
}  // namespace lithe

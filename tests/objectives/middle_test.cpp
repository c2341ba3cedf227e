// Middles: how documents are cut and rearranged, what rows become, and what an evaluation scores.
#include "lithe/objectives/middle.h"

#include <cmath>
#include <map>
#include <numeric>

#include "lithe/base/rng.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "support/errors.h"
#include "support/trained_tokenizer.h"

namespace lithe {
namespace {

using Ids = FillMiddle::Ids;

constexpr int64_t kPrefix = 901, kSuffix = 902, kMiddle = 903, kEnd = 900;

FillMiddle filling(double rate, double suffix_first) {
    return {.rate = rate,
            .suffix_first = suffix_first,
            .prefix_id = kPrefix,
            .suffix_id = kSuffix,
            .middle_id = kMiddle,
            .end_id = kEnd};
}

Ids counted(int64_t tokens) {
    Ids ids(static_cast<size_t>(tokens));
    std::iota(ids.begin(), ids.end(), 1);
    return ids;
}

Ids between(const Ids& ids, int64_t from, int64_t to) {
    const auto begin = std::find(ids.begin(), ids.end(), from) + 1;
    return {begin, std::find(begin, ids.end(), to)};
}

Ids joined(std::initializer_list<Ids> parts) {
    Ids all;
    for (const Ids& each : parts) all.insert(all.end(), each.begin(), each.end());
    return all;
}

TEST(Middle, PartsTogetherAreTheText) {
    const Ids text = counted(20);
    for (uint64_t key = 0; key < 200; ++key) {
        std::vector<uint8_t> middles;
        const Ids psm = filling(1, 0).arrange(text, 100, key, &middles), spm = filling(1, 1).arrange(text, 100, key);
        ASSERT_EQ(psm.size(), 24u);
        ASSERT_EQ(spm.size(), 24u);
        EXPECT_EQ(psm[0], kPrefix);
        EXPECT_EQ(psm.back(), kEnd);
        const Ids middle = between(psm, kMiddle, kEnd);
        EXPECT_EQ(joined({between(psm, kPrefix, kSuffix), middle, between(psm, kSuffix, kMiddle)}), text);
        EXPECT_EQ(spm[1], kSuffix) << "SPM: both marks stand before the suffix";
        EXPECT_EQ(between(spm, kSuffix, kMiddle), between(psm, kSuffix, kMiddle));
        EXPECT_EQ(joined({between(spm, kMiddle, kEnd), between(spm, kSuffix, kMiddle)}), text);
        EXPECT_EQ(std::accumulate(middles.begin(), middles.end(), size_t(0)), middle.size() + 1) << "and the end";
        EXPECT_EQ(middles.back(), 1);
    }
}

// Two places of n + 1, each alike: the mean of each part is a third.
TEST(Middle, CutsAreUniform) {
    constexpr int kDraws = 20'000;
    std::map<std::pair<size_t, size_t>, double> share;
    const FillMiddle fill = filling(1, 0);
    for (uint64_t key = 0; key < kDraws; ++key) {
        const auto parts = fill.cut(counted(3), key, 0);
        share[{parts.prefix.size(), parts.prefix.size() + parts.middle.size()}] += 1.0 / kDraws;
    }
    EXPECT_EQ(share.size(), 10u);
    for (const auto& [places, of_all] : share) {
        const double expected = places.first == places.second ? 1.0 / 16 : 2.0 / 16;
        EXPECT_NEAR(of_all, expected, 4 * std::sqrt(expected / kDraws)) << places.first << ", " << places.second;
    }
}

TEST(Middle, ShareAndOrderAreAsTheyWereAskedFor) {
    Ids text;
    for (int document = 0; document < 4000; ++document) text.insert(text.end(), {1, 2, 3, kEnd});
    const Ids ids = filling(.3, .25).arrange(text, 1'000'000, 11);
    double arranged = 0, suffix_first = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
        arranged += ids[i] == kPrefix;
        suffix_first += ids[i] == kPrefix && ids[i + 1] == kSuffix;
    }
    EXPECT_NEAR(arranged / 4000, .3, .03);
    // and PSM with an empty prefix: 1 / 4 + 1 / 16 of two places out of four
    EXPECT_NEAR(suffix_first / arranged, .25 + .75 * 7 / 16, .06);
    EXPECT_EQ(filling(0, 0).arrange(text, 1'000'000, 11), text);
    const auto ends = std::count(ids.begin(), ids.end(), kEnd);
    EXPECT_EQ(ends, 4000) << "a document has one end";
}

// What is too long loses its end, then its beginning, and never a part of the middle.
TEST(Middle, ARowHoldsAWholeMiddleOrNone) {
    const FillMiddle fill = filling(1, .5);
    int whole = 0;
    for (uint64_t key = 0; key < 300; ++key) {
        std::vector<uint8_t> middles;
        const Ids ids = fill.arrange(counted(20), 20, key, &middles);
        EXPECT_EQ(ids.size(), 20u);
        ASSERT_EQ(middles.size(), ids.size());
        if (ids[0] != kPrefix) continue;
        ++whole;
        EXPECT_EQ(ids.back(), kEnd);
        const auto parts = fill.cut(counted(20), key, 0);
        const auto scored = std::accumulate(middles.begin(), middles.end(), size_t(0));
        EXPECT_EQ(scored, parts.middle.size() + 1);
    }
    EXPECT_GT(whole, 250);
}

TEST(Middle, CharactersAreCutInsideOfTokens) {
    const std::string text = testing::varied_text();
    const auto bpe = testing::train_tokenizer({.kind = "bpe", .size = 400}, text);
    FillMiddle fill = filling(1, 0);
    fill.tokenizer = bpe;
    const std::string words = "some words and more w\xC3\xB6rds";
    const Ids ids = bpe->encode(words);
    int inside = 0;
    for (uint64_t key = 0; key < 100; ++key) {
        const auto parts = fill.cut(ids, key, 0);
        const std::string prefix = bpe->decode(parts.prefix), middle = bpe->decode(parts.middle);
        EXPECT_EQ(prefix + middle + bpe->decode(parts.suffix), words);
        for (const std::string& part : {prefix, middle})
            EXPECT_TRUE(part.empty() || part.back() != '\xC3') << "a character is whole";
        inside += joined({parts.prefix, parts.middle, parts.suffix}) != ids;
    }
    EXPECT_GT(inside, 50);
}

std::unique_ptr<Objective> objective_of(const std::string& more, const Tokenizer& tokenizer) {
    return make_objective(parse_config("[objective]\nname = \"middle\"\n" + more, "test"), tokenizer);
}

TEST(Middle, MarksAreTheTokenizersOrMore) {
    const tokenize::ByteTokenizer bytes;
    EXPECT_EQ(objective_of("", bytes)->vocabulary(), 256 + 4);
    const auto bpe = testing::train_tokenizer({.kind = "bpe", .size = 300, .end = "<|endoftext|>"}, "some text, more");
    EXPECT_EQ(objective_of("", *bpe)->vocabulary(), bpe->vocabulary_size() + 3);
    const auto own = testing::train_tokenizer({.kind = "bpe", .size = 300, .end = "<|fim_middle|>"}, "some text, more");
    const auto made = objective_of("", *own);
    EXPECT_EQ(made->vocabulary(), own->vocabulary_size() + 3) << "two marks and an end";
    EXPECT_EQ(dynamic_cast<const MiddleObjective&>(*made).filling().middle_id, *find_token(*own, "<|fim_middle|>"));
    const auto words = testing::train_tokenizer({.kind = "words", .size = 0}, "a b c\n");
    EXPECT_ERROR(objective_of("", *words), ErrorKind::usage, "objective.middle_cuts = \"tokens\"");
    EXPECT_EQ(objective_of("middle_cuts = \"tokens\"\n", *words)->vocabulary() - words->vocabulary_size(),
              words->document_end() ? 3 : 4);
}

// A row of next tokens stays one, and is the same wherever it stands in an update's batches.
TEST(Middle, RowsAreArrangedByTheirNumber) {
    const auto objective = objective_of("middle_rate = 1\n", tokenize::ByteTokenizer());
    Batch whole{.length = 40, .rows = 3}, last{.length = 40, .rows = 1};
    for (int64_t t = 0; t < 40; ++t)
        for (int64_t row = 0; row < 3; ++row) {
            whole.inputs.push_back('a' + (t + row) % 26);
            whole.targets.push_back('a' + (t + row + 1) % 26);
        }
    for (size_t t = 0; t < 40; ++t) {
        last.inputs.push_back(whole.inputs[3 * t + 2]);
        last.targets.push_back(whole.targets[3 * t + 2]);
    }
    objective->prepare(whole, 7, 10);
    objective->prepare(last, 7, 12);
    EXPECT_TRUE(whole.begins) << "no state from the row before";
    EXPECT_TRUE(whole.flags.empty()) << "rows are full";
    for (size_t t = 0; t < 40; ++t) {
        EXPECT_EQ(last.inputs[t], whole.inputs[3 * t + 2]);
        EXPECT_EQ(last.targets[t], whole.targets[3 * t + 2]);
        if (t < 39) { EXPECT_EQ(last.targets[t], last.inputs[t + 1]); }
    }
    EXPECT_EQ(last.inputs[0], 257) << "the prefix's mark";
    EXPECT_EQ(last.targets[39], 256) << "the end";
}

// Each document of a row is arranged for itself, and padding stays behind.
TEST(Middle, DocumentsOfARowStayApart) {
    const auto objective = objective_of("middle_rate = 1\nmiddle_cuts = \"tokens\"\n", tokenize::ByteTokenizer());
    Batch batch{.length = 40, .rows = 1};
    batch.inputs.assign(40, 0);
    batch.targets.assign(40, -1);
    batch.flags.assign(40, kPadding);
    for (const auto& [begin, letter] : {std::pair<size_t, int64_t>{0, 'a'}, {10, 'b'}})
        for (size_t i = 0; i < 10; ++i) {
            batch.inputs[begin + i] = letter;
            batch.targets[begin + i] = i < 9 ? letter : -1;
            batch.flags[begin + i] = i == 0 ? kDocumentBegins : 0;
        }
    objective->prepare(batch, 3, 0);
    const auto begin = std::find(batch.flags.begin() + 1, batch.flags.end(), kDocumentBegins) - batch.flags.begin();
    ASSERT_EQ(begin, 13) << "ten tokens and four marks, of which the last is a target alone";
    EXPECT_EQ(batch.inputs[0], 257);
    EXPECT_EQ(batch.targets[12], 256);
    EXPECT_EQ(batch.inputs[13], 257);
    EXPECT_EQ(batch.targets[25], 256);
    EXPECT_EQ(std::count(batch.inputs.begin(), batch.inputs.begin() + 13, 'b'), 0);
    EXPECT_EQ(std::count(batch.inputs.begin() + 13, batch.inputs.end(), 'a'), 0);
    for (size_t t = 26; t < 40; ++t) EXPECT_TRUE(batch.is_padding(t));
}

TEST(Middle, ContradictionsAreTold) {
    const auto checked = [](const std::string& model) {
        Problems problems;
        check_config(parse_config(model + "[objective]\nname = \"middle\"\n", "test"), problems);
        problems.throw_if_any("test");
    };
    checked("");
    EXPECT_ERROR(checked("[model]\ndirection = \"bidirectional\"\nlayout = \"sf\"\n"), ErrorKind::usage,
                 "model.direction = \"causal\"");
    EXPECT_ERROR(checked("[model]\nmemory = 8\n"), ErrorKind::usage, "model.memory = 0");
    EXPECT_ERROR(checked("[train]\nlength = 4\n"), ErrorKind::usage, "train.length = 8");
}

}  // namespace
}  // namespace lithe

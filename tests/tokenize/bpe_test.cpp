// Byte-level BPE against slow implementations that read like the definition.
#include <gtest/gtest.h>

#include <map>

#include "lithe/tokenize/bpe_trainer.h"
#include "lithe/tokenize/byte_alphabet.h"
#include "lithe/tokenize/gpt2_split.h"
#include "lithe/tokenize/pipeline.h"
#include "lithe/tokenize/regex.h"
#include "lithe/tokenize/unicode.h"
#include "support/errors.h"
#include "support/random_text.h"

namespace lithe {
namespace {

using namespace tokenize;
using Symbols = std::vector<std::string>;

std::string training_text() {
    std::string text;
    for (uint64_t i = 0; i < 400; ++i)
        text += testing::random_text(i) + " some common words, some common words again\n";
    return text;
}

Json trained(int64_t size) {
    BpeTrainer trainer;
    trainer.feed(training_text());
    return trainer.finish(size, 2, "<|endoftext|>", {});
}

std::vector<std::string_view> pieces_of(std::string_view text) {
    std::vector<std::string_view> pieces;
    for (size_t at = 0, end; at < text.size(); at = end) {
        end = gpt2_next(text, at);
        pieces.push_back(text.substr(at, end - at));
    }
    return pieces;
}

TEST(Gpt2Split, EqualsItsRegularExpression) {
    const Regex regex(kGpt2Pattern, "test");
    std::vector<Span> spans;
    for (uint64_t seed = 0; seed < 5000; ++seed) {
        const std::string text = testing::random_text(seed);
        regex.spans(text, spans);
        std::vector<std::string_view> expected;
        for (const Span& span : spans)
            expected.push_back(std::string_view(text).substr(span.begin, span.end - span.begin));
        EXPECT_EQ(pieces_of(text), expected) << text;
    }
}

// The most frequent pair of neighbours, smallest ids first among equals, counted anew each time.
TEST(BpeTrainer, EqualsTheDefinition) {
    std::map<Symbols, int64_t> words;
    const std::string text = training_text();
    for (std::string_view piece : pieces_of(text)) {
        Symbols word;
        for (char byte : piece) {
            std::string symbol;
            append_byte_alphabet(symbol, {&byte, 1});
            word.push_back(symbol);
        }
        ++words[word];
    }
    const Json json = trained(400);
    std::map<std::string, int64_t> id;
    for (const auto& [token, number] : json["model"]["vocab"].items()) id[token] = number;
    ASSERT_EQ(json["model"]["merges"].size(), 400u - 257u);
    for (const auto& merge : json["model"]["merges"]) {
        std::map<std::pair<int64_t, int64_t>, std::pair<int64_t, std::pair<std::string, std::string>>> pairs;
        for (const auto& [word, count] : words)
            for (size_t i = 0; i + 1 < word.size(); ++i) {
                auto& entry = pairs[{id.at(word[i]), id.at(word[i + 1])}];
                entry.first += count;
                entry.second = {word[i], word[i + 1]};
            }
        auto best = pairs.begin();
        for (auto it = pairs.begin(); it != pairs.end(); ++it)
            if (it->second.first > best->second.first) best = it;
        const auto [left, right] = best->second.second;
        ASSERT_EQ(merge.get<std::string>(), left + " " + right);
        std::map<Symbols, int64_t> next;
        for (const auto& [word, count] : words) {
            Symbols merged;
            for (size_t i = 0; i < word.size(); ++i) {
                const bool here = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
                merged.push_back(here ? left + right : word[i]);
                i += here;
            }
            next[merged] += count;
        }
        words = std::move(next);
    }
}

// The pair of lowest rank, leftmost first, again and again.
std::vector<int64_t> merge_slowly(const std::map<std::pair<std::string, std::string>, size_t>& ranks,
                                  const std::map<std::string, int64_t>& id, std::string_view piece) {
    Symbols word;
    for (char byte : piece) {
        std::string symbol;
        append_byte_alphabet(symbol, {&byte, 1});
        word.push_back(symbol);
    }
    for (;;) {
        size_t best = ~size_t(0), at = 0;
        for (size_t i = 0; i + 1 < word.size(); ++i)
            if (auto found = ranks.find({word[i], word[i + 1]}); found != ranks.end() && found->second < best) {
                best = found->second;
                at = i;
            }
        if (best == ~size_t(0)) break;
        word[at] += word[at + 1];
        word.erase(word.begin() + int64_t(at) + 1);
    }
    std::vector<int64_t> ids;
    for (const std::string& symbol : word) ids.push_back(id.at(symbol));
    return ids;
}

TEST(BpeModel, EqualsTheDefinitionOnShortAndLongPieces) {
    const Json json = trained(600);
    std::map<std::pair<std::string, std::string>, size_t> ranks;
    std::map<std::string, int64_t> id;
    for (const auto& merge : json["model"]["merges"]) {
        const auto text = merge.get<std::string>();
        ranks.emplace(std::pair(text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)), ranks.size());
    }
    for (const auto& [token, number] : json["model"]["vocab"].items()) id[token] = number;
    const auto tokenizer = read_pipeline(json, "test");
    std::vector<std::string> texts;
    for (uint64_t seed = 0; seed < 300; ++seed) texts.push_back(testing::random_text(seed, true));
    for (const char* unit : {"a", "the", "common", "words", "ab", "世"}) {  // one long piece each
        std::string text;
        while (text.size() < 300) text += unit;
        texts.push_back(text);
    }
    for (const std::string& text : texts) {
        std::vector<int64_t> expected;
        for (std::string_view piece : pieces_of(text)) {
            const auto ids = merge_slowly(ranks, id, piece);
            expected.insert(expected.end(), ids.begin(), ids.end());
        }
        EXPECT_EQ(tokenizer->encode(text), expected);
        EXPECT_EQ(tokenizer->encode(text), expected) << "from the cache";
        EXPECT_EQ(tokenizer->decode(expected), text);
    }
}

TEST(BpeTrainer, RefusesWhatCannotBe) {
    BpeTrainer trainer;
    trainer.feed("ab ab");
    EXPECT_ERROR(trainer.finish(100, 2, "<|endoftext|>", {}), ErrorKind::usage, "at least 257 tokens");
    EXPECT_EQ(trainer.finish(1000, 2, "", {})["model"]["merges"].size(), 1u);  // "a b"; the text has no more
}

}  // namespace
}  // namespace lithe

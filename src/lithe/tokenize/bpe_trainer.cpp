#include "lithe/tokenize/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <vector>

#include "lithe/base/wording.h"
#include "lithe/tokenize/byte_alphabet.h"
#include "lithe/tokenize/gpt2_split.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

struct Word {
    std::vector<int32_t> symbols;
    int64_t count = 0;
};

uint64_t pair_of(int32_t left, int32_t right) { return uint64_t(uint32_t(left)) << 32 | uint32_t(right); }

struct Candidate {
    int64_t count;
    uint64_t pair;
    bool operator<(const Candidate& other) const {
        return count != other.count ? count < other.count : pair > other.pair;
    }
};

// Counts of pairs and the words they stand in, kept up to date while pairs are merged.
class Pairs {
 public:
    explicit Pairs(std::vector<Word> words) : words_(std::move(words)) {
        for (size_t w = 0; w < words_.size(); ++w) {
            const auto& symbols = words_[w].symbols;
            for (size_t i = 0; i + 1 < symbols.size(); ++i)
                change(pair_of(symbols[i], symbols[i + 1]), words_[w].count, w);
        }
        for (const auto& [pair, entry] : entries_) queue_.push({entry.count, pair});
        touched_.clear();
    }
    // The pair to merge next, with its count; false when none is left.
    bool best(Candidate& out) {
        while (!queue_.empty()) {
            out = queue_.top();
            queue_.pop();
            const int64_t now = entries_[out.pair].count;
            if (now == out.count) return now > 0;
            if (now > 0) queue_.push({now, out.pair});
        }
        return false;
    }
    void merge(uint64_t pair, int32_t merged) {
        const auto left = int32_t(pair >> 32), right = int32_t(uint32_t(pair));
        std::vector<size_t> places = std::move(entries_[pair].words);
        std::sort(places.begin(), places.end());
        places.erase(std::unique(places.begin(), places.end()), places.end());
        for (size_t w : places) merge_in(w, left, right, merged);
        entries_.erase(pair);
        for (uint64_t each : touched_)
            if (each != pair && entries_[each].count > 0) queue_.push({entries_[each].count, each});
        touched_.clear();
    }

 private:
    struct Entry {
        int64_t count = 0;
        std::vector<size_t> words;  // may hold words that the pair has left
    };
    void change(uint64_t pair, int64_t by, size_t word) {
        Entry& entry = entries_[pair];
        entry.count += by;
        if (by <= 0) return;
        if (entry.words.empty() || entry.words.back() != word) entry.words.push_back(word);
        touched_.push_back(pair);
    }
    void merge_in(size_t w, int32_t left, int32_t right, int32_t merged) {
        auto& [symbols, count] = words_[w];
        size_t out = 0;
        for (size_t i = 0; i < symbols.size(); ++i, ++out) {
            if (symbols[i] != left || i + 1 >= symbols.size() || symbols[i + 1] != right) {
                symbols[out] = symbols[i];
                continue;
            }
            if (out > 0) {
                change(pair_of(symbols[out - 1], left), -count, w);
                change(pair_of(symbols[out - 1], merged), count, w);
            }
            if (i + 2 < symbols.size()) {
                change(pair_of(right, symbols[i + 2]), -count, w);
                change(pair_of(merged, symbols[i + 2]), count, w);
            }
            symbols[out] = merged;
            ++i;
        }
        symbols.resize(out);
    }
    std::vector<Word> words_;
    std::unordered_map<uint64_t, Entry> entries_;
    std::priority_queue<Candidate> queue_;
    std::vector<uint64_t> touched_;
};

Json shape_of(const std::string& end, int64_t end_id) {
    const Json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
    Json json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", Json::array()}};
    if (!end.empty())
        json["added_tokens"].push_back({{"id", end_id},
                                        {"content", end},
                                        {"single_word", false},
                                        {"lstrip", false},
                                        {"rstrip", false},
                                        {"normalized", false},
                                        {"special", true}});
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] = json["post_processor"] = json["decoder"] = byte_level;
    return json;
}

}  // namespace

void BpeTrainer::feed(std::string_view text) {
    for (size_t at = 0, end; at < text.size(); at = end) {
        end = gpt2_next(text, at);
        const std::string_view piece = text.substr(at, end - at);
        if (const auto found = counts_.find(piece); found != counts_.end()) ++found->second;
        else counts_.emplace(piece, 1);
    }
}

Json BpeTrainer::finish(int64_t size, int64_t min_count, const std::string& end, const std::stop_token& stop) {
    const int64_t smallest = 256 + !end.empty();
    if (size < smallest)
        fail_usage("byte-level BPE needs at least " + std::to_string(smallest) + " tokens, got " + std::to_string(size),
                   option("size"));
    // bytes in the order of their characters, as GPT-2 numbers them
    std::vector<uint32_t> characters;
    for (int byte = 0; byte < 256; ++byte) characters.push_back(character_of_byte(static_cast<unsigned char>(byte)));
    std::sort(characters.begin(), characters.end());
    std::vector<std::string> tokens;
    std::unordered_map<std::string, int32_t> id_of_character;
    for (uint32_t c : characters) {
        std::string token;
        append_utf8(token, c);
        id_of_character[token] = int32_t(tokens.size());
        tokens.push_back(token);
    }
    std::vector<Word> words;
    for (const auto& [piece, count] : counts_) {
        Word word{{}, count};
        for (char byte : piece) {
            std::string character;
            append_utf8(character, character_of_byte(static_cast<unsigned char>(byte)));
            word.symbols.push_back(id_of_character[character]);
        }
        words.push_back(std::move(word));
    }
    Pairs pairs(std::move(words));
    Json merges = Json::array();
    for (Candidate next; int64_t(tokens.size()) + !end.empty() < size && pairs.best(next) && next.count >= min_count;) {
        if (stop.stop_requested())
            fail({.kind = ErrorKind::stopped, .what = "stopped while training the tokenizer; nothing was kept"});
        const auto left = size_t(next.pair >> 32), right = size_t(uint32_t(next.pair));
        merges.push_back(tokens[left] + " " + tokens[right]);
        tokens.push_back(tokens[left] + tokens[right]);
        pairs.merge(next.pair, int32_t(tokens.size()) - 1);
    }
    Json json = shape_of(end, int64_t(tokens.size()));
    Json vocabulary = Json::object();
    for (size_t id = 0; id < tokens.size(); ++id) vocabulary[tokens[id]] = id;
    if (!end.empty()) vocabulary[end] = tokens.size();
    json["model"] = {{"type", "BPE"},
                     {"dropout", nullptr},
                     {"unk_token", nullptr},
                     {"continuing_subword_prefix", ""},
                     {"end_of_word_suffix", ""},
                     {"fuse_unk", false},
                     {"byte_fallback", false},
                     {"ignore_merges", false},
                     {"vocab", std::move(vocabulary)},
                     {"merges", std::move(merges)}};
    return json;
}

}  // namespace lithe::tokenize

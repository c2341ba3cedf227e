#include "lithe/tokenize/trainer.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/tokenize/bpe_trainer.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/tokenize/characters.h"
#include "lithe/tokenize/pipeline.h"
#include "lithe/tokenize/sentencepiece_trainer.h"
#include "lithe/tokenize/unicode.h"
#include "lithe/tokenize/words.h"

namespace lithe {
namespace {

using Options = TokenizerTrainingOptions;

class UsedBytes : public TokenizerTrainer {
 public:
    explicit UsedBytes(const Options&) {}
    void feed(std::string_view text) override {
        for (char c : text) used_[static_cast<unsigned char>(c)] = true;
    }
    TokenizerPtr finish() override { return std::make_shared<tokenize::ByteTokenizer>(used_); }

 private:
    std::array<bool, 256> used_{};
};

class Characters : public TokenizerTrainer {
 public:
    explicit Characters(const Options& options) : options_(options), counts_(tokenize::kBadByte + 256, 0) {}
    void feed(std::string_view text) override {
        tokenize::each_code_point(text, [&](uint32_t c, std::string_view) { ++counts_[c]; });
    }
    TokenizerPtr finish() override {
        std::vector<uint32_t> found;
        bool left_out = false;
        for (uint32_t c = 0; c < counts_.size(); ++c) {
            if (counts_[c] == 0) continue;
            if (counts_[c] >= options_.min_count) found.push_back(c);
            else left_out = true;
        }
        if (options_.size > 0 && int64_t(found.size()) + left_out > options_.size) {
            left_out = true;
            std::stable_sort(found.begin(), found.end(),
                             [&](uint32_t a, uint32_t b) { return counts_[a] > counts_[b]; });
            found.resize(size_t(std::max<int64_t>(1, options_.size - 1)));
            std::sort(found.begin(), found.end());
        }
        return tokenize::make_characters(std::move(found), left_out);
    }

 private:
    Options options_;
    std::vector<int64_t> counts_;
};

class Words : public TokenizerTrainer {
 public:
    explicit Words(const Options& options) : options_(options) {
        rules_.lower = options.lower;
        rules_.line_end = options.line_end;
        rules_.line_start = options.line_start;
    }
    void feed(std::string_view text) override {
        tokenize::each_word(
            text,
            [&](std::string_view word) {
                Count& count = counts_[rules_.lower ? tokenize::lower_case(word) : std::string(word)];
                if (count.times++ == 0) count.order = int64_t(counts_.size());
            },
            [] {});
    }
    // Special tokens first, then by falling count, equal ones in the order of their first appearance.
    TokenizerPtr finish() override {
        struct Entry {
            const std::string* word;
            Count count;
        };
        std::vector<Entry> entries;
        for (const auto& [word, count] : counts_)
            if (word != rules_.line_end && (count.times >= options_.min_count || word == rules_.unknown) &&
                is_valid_utf8(word))
                entries.push_back({&word, count});
        std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
            return a.count.times != b.count.times ? a.count.times > b.count.times : a.count.order < b.count.order;
        });
        std::vector<std::string> words;
        if (!rules_.line_end.empty()) words.push_back(rules_.line_end);
        if (!counts_.contains(rules_.unknown)) words.push_back(rules_.unknown);
        for (const Entry& entry : entries) {
            if (options_.size > 0 && int64_t(words.size()) >= options_.size) break;
            words.push_back(*entry.word);
        }
        if (std::find(words.begin(), words.end(), rules_.unknown) == words.end()) words.back() = rules_.unknown;
        return tokenize::make_words(std::move(words), rules_, "training");
    }

 private:
    struct Count {
        int64_t times = 0, order = 0;
    };
    Options options_;
    tokenize::WordRules rules_;
    std::unordered_map<std::string, Count> counts_;
};

class Bpe : public TokenizerTrainer {
 public:
    explicit Bpe(const Options& options) : options_(options) {}
    void feed(std::string_view text) override { trainer_.feed(text); }
    TokenizerPtr finish() override {
        const int64_t min_count = options_.min_count > 0 ? options_.min_count : 2;
        return tokenize::read_pipeline(trainer_.finish(options_.size, min_count, options_.end, options_.stop),
                                       "training");
    }

 private:
    Options options_;
    tokenize::BpeTrainer trainer_;
};

struct Kind {
    const char* name;
    std::unique_ptr<TokenizerTrainer> (*make)(const Options& options);
};

template <class T> std::unique_ptr<TokenizerTrainer> make(const Options& options) {
    return std::make_unique<T>(options);
}

const Kind kKinds[] = {
    {"bpe", make<Bpe>},
    {"unigram", [](const Options& options) { return tokenize::make_sentencepiece_trainer("unigram", options); }},
    {"sentencepiece-bpe", [](const Options& options) { return tokenize::make_sentencepiece_trainer("bpe", options); }},
    {"words", make<Words>},
    {"characters", make<Characters>},
    {"bytes", make<UsedBytes>},
};

}  // namespace

std::vector<std::string> tokenizer_training_kinds() {
    std::vector<std::string> names;
    for (const Kind& kind : kKinds) names.push_back(kind.name);
    return names;
}

std::unique_ptr<TokenizerTrainer> make_tokenizer_trainer(const TokenizerTrainingOptions& options) {
    for (const Kind& kind : kKinds)
        if (options.kind == kind.name) return kind.make(options);
    fail_usage("unknown kind of tokenizer '" + printable(options.kind) + "'" +
                   did_you_mean(options.kind, tokenizer_training_kinds()),
               option("kind"), "one of: " + join(tokenizer_training_kinds(), ", "));
}

}  // namespace lithe

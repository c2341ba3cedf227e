#include "lithe/tokenize/sentencepiece_trainer.h"

#include <sentencepiece_trainer.h>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/tokenize/sentencepiece.h"
#include "lithe/tokenize/unicode.h"

namespace lithe::tokenize {
namespace {

constexpr size_t kLongestSentence = 4000;  // bytes; longer lines are cut

class Sentences : public sentencepiece::SentenceIterator {
 public:
    explicit Sentences(const std::vector<std::string>& sentences) : sentences_(sentences) {}
    bool done() const override { return at_ >= sentences_.size(); }
    void Next() override { ++at_; }
    const std::string& value() const override { return sentences_[at_]; }
    sentencepiece::util::Status status() const override { return {}; }

 private:
    const std::vector<std::string>& sentences_;
    size_t at_ = 0;
};

class Trainer : public TokenizerTrainer {
 public:
    Trainer(std::string model_type, const TokenizerTrainingOptions& options)
        : model_type_(std::move(model_type)),
          options_(options) {}
    void feed(std::string_view text) override {
        for (size_t at = 0; at < text.size();) {
            const size_t line_end = std::min(text.find('\n', at), text.size());
            while (at < line_end) {
                size_t end = std::min(line_end, at + kLongestSentence);
                if (end < line_end) end = at + complete_prefix(text.substr(at, end - at));
                sentences_.emplace_back(text.substr(at, end - at));
                at = end;
            }
            at = line_end + 1;
        }
    }
    TokenizerPtr finish() override {
        if (sentences_.empty()) fail_file("there is no text to train a tokenizer on", "training");
        const bool identity = options_.normalization == "identity";
        std::unordered_map<std::string, std::string> settings = {
            {"model_type", model_type_},
            {"vocab_size", std::to_string(options_.size)},
            {"character_coverage", format_number(options_.character_coverage)},
            {"normalization_rule_name", options_.normalization},
            {"remove_extra_whitespaces", identity ? "false" : "true"},
            {"add_dummy_prefix", identity ? "false" : "true"},
            {"byte_fallback", "true"},
            {"user_defined_symbols", "\n"},
            {"hard_vocab_limit", "false"},
            {"num_threads", "2"},  // fixed: the pieces do not depend on the machine
            {"minloglevel", "2"},
        };
        Sentences sentences(sentences_);
        std::string model;
        const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &sentences, &model);
        if (!status.ok())
            fail_usage("the SentencePiece library cannot train this: " + printable(status.ToString()),
                       "train-tokenizer",
                       "other values of " + option("size") + ", " + option("coverage") + " or " +
                           option("normalization") + ", or more text");
        return sentencepiece_from_model(model, "training");
    }

 private:
    std::string model_type_;
    TokenizerTrainingOptions options_;
    std::vector<std::string> sentences_;
};

}  // namespace

std::unique_ptr<TokenizerTrainer> make_sentencepiece_trainer(const std::string& model_type,
                                                             const TokenizerTrainingOptions& options) {
    return std::make_unique<Trainer>(model_type, options);
}

}  // namespace lithe::tokenize

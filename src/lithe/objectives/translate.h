// Writing a text from another (Sutskever et al. 2014; Vaswani et al. 2017, section 5): a decoder predicts each token of
// a target from those before it and an encoder's reading of the source (teacher forcing).
//
//   loss = sum over target tokens of (1 - e - e / (V - 1)) (-log p(y)) + e / (V - 1) sum_v (-log p(v))
//
// e: label smoothing (Szegedy et al. 2016, in fairseq's form). Pairs come from data.parallel; a tokenizer without an
// end token gets an id more.
#pragma once

#include "lithe/objectives/source_objective.h"
#include "lithe/score/bleu.h"

namespace lithe {

struct TranslateValues {
    double label_smoothing = 0.1;
    BleuTokens bleu_tokens = BleuTokens::t13a;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

class TranslateObjective : public SourceObjective {
 public:
    // `end`: the token behind each text, and before a target's first.
    TranslateObjective(const TranslateValues& values, int64_t end, int64_t vocabulary)
        : SourceObjective("translate", vocabulary, values.label_smoothing),
          values_(values),
          end_(end) {}
    void prepare(Batch&, uint64_t, int64_t) const override {}  // feeders give pairs
    bool reads_pairs() const override { return true; }
    std::unique_ptr<Feeder> feeder(const Config& config, const Tokenizer& tokenizer,
                                   std::vector<FeedSource> sources) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override {
        return {.carries_state = false, .unscored = "the sources, and pairs longer than the length"};
    }
    std::optional<Writing> write(const Models& models, const ScoredText& text, const Tokenizer& tokenizer,
                                 const WriteOptions& options) const override;
    int64_t end() const { return end_; }
    BleuTokens bleu_tokens() const { return values_.bleu_tokens; }

 private:
    TranslateValues values_;
    int64_t end_;
};

std::unique_ptr<Objective> make_translate(const ObjectiveOptions& options, const Config& config,
                                          const Tokenizer& tokenizer);

}  // namespace lithe

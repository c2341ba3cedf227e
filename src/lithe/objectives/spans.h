// Span corruption (objectives/span_corruption.h): an encoder reads a text of which spans were taken out, a decoder
// writes them. T5's objective (Raffel et al. 2020), on any text; the tokens of train.length are the encoder's.
#pragma once

#include "lithe/objectives/source_objective.h"
#include "lithe/objectives/span_corruption.h"

namespace lithe {

struct SpansValues {
    double rate = 0.15;
    double mean_length = 3;
    int64_t sentinels = 100;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

class SpansObjective : public SourceObjective {
 public:
    SpansObjective(const SpanCorruption& corruption, int64_t sentinels, int64_t vocabulary)
        : SourceObjective("spans", vocabulary, 0),
          corruption_(corruption),
          sentinels_(sentinels) {}
    const SpanCorruption& corruption() const { return corruption_; }
    // The main sequence becomes what was taken out, the source what was left.
    void prepare(Batch& batch, uint64_t key, int64_t first_row) const override;
    // Rows as long as the texts whose input is train.length long.
    std::unique_ptr<Feeder> feeder(const Config& config, const Tokenizer& tokenizer,
                                   std::vector<FeedSource> sources) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override { return {.carries_state = false, .unscored = "what is in no span"}; }

 private:
    SpanCorruption corruption_;
    int64_t sentinels_;
};

std::unique_ptr<Objective> make_spans(const ObjectiveOptions& options, const Config& config,
                                      const Tokenizer& tokenizer);

}  // namespace lithe

// The objective of a causal model that also fills in middles (objectives/fill_middle.h): next tokens of rows some of
// whose documents are rearranged. Rows stand alone: what follows a rearranged row does not go on with it. Evaluation
// rearranges every row and scores the middles with their ends.
#pragma once

#include "lithe/objectives/fill_middle.h"
#include "lithe/objectives/stream_batches.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

struct MiddleValues {
    double middle_rate = 0.5;
    double suffix_first = 0.5;
    MiddleCuts middle_cuts = MiddleCuts::characters;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

class MiddleObjective : public TokenObjective {
 public:
    MiddleObjective(const FillMiddle& filling, int64_t vocabulary)
        : TokenObjective("middle", vocabulary, TargetDensity::most),
          filling_(filling) {}
    const FillMiddle& filling() const { return filling_; }
    void prepare(Batch& batch, uint64_t key, int64_t first_row) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override { return {.carries_state = false, .unscored = "what is in no middle"}; }

 private:
    void arrange_scored(Batch& batch, const std::vector<ScoredRow>& rows) const;
    FillMiddle filling_;
};

// Throws usage where characters are to be cut and the tokenizer does not give texts back.
std::unique_ptr<Objective> make_middle(const ObjectiveOptions& options, const Config& config,
                                       const Tokenizer& tokenizer);

}  // namespace lithe

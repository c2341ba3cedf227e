// Predicting each next token of a text: a causal language model's objective.
#pragma once

#include "lithe/objectives/stream_batches.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

struct NextValues {
    void visit(FieldVisitor&) {}
    void check(const Config& config, Problems& problems) const;
};

class NextObjective : public TokenObjective {
 public:
    explicit NextObjective(int64_t vocabulary) : TokenObjective("next", vocabulary, TargetDensity::most) {}
    void prepare(Batch&, uint64_t, int64_t) const override {}  // feeders give next tokens
    bool steady_work(const Models& models) const override { return models.main().steady_work(); }
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override {
        return make_stream_batches(text, protocol, {});
    }
};

std::unique_ptr<Objective> make_next(const ObjectiveOptions& options, const Config& config, const Tokenizer& tokenizer);

}  // namespace lithe

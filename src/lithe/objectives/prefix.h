// A prefix language model (Liu et al. 2018; Raffel et al. 2020, section 3.2.2): the first part of a text is read from
// both sides, the rest is written token by token. With a prefix of P tokens, position t sees
//
//   keys j < max(P, t + 1)        and the loss is that of x_P, x_P+1, ... alone
//
// P is uniform in [1, train.length] and the same for all rows of an update; an evaluation takes half of each row. The
// prefix is one pass without a causal mask, the rest a causal one whose memory is the prefix, so that no kernel knows
// of it. Generation reads the prompt as the prefix.
#pragma once

#include "lithe/objectives/stream_batches.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

struct PrefixValues {
    void visit(FieldVisitor&) {}
    void check(const Config& config, Problems& problems) const;
};

class PrefixObjective : public TokenObjective {
 public:
    explicit PrefixObjective(int64_t vocabulary) : TokenObjective("prefix", vocabulary, TargetDensity::most) {}
    Models models(const Config& config, std::shared_ptr<ParameterStore> store) const override;
    // Rows' classes become the length of their prefix.
    void prepare(Batch& batch, uint64_t key, int64_t first_row) const override;
    LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                    const DrawKeys& keys) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override {
        return {.carries_state = false, .unscored = "the first half of each row"};
    }
    ScoredRows score(const Models& models, const DeviceBatch& batch, const State& state, Pass pass) const override;
};

std::unique_ptr<Objective> make_prefix(const ObjectiveOptions& options, const Config& config,
                                       const Tokenizer& tokenizer);

}  // namespace lithe

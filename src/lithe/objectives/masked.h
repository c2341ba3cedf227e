// The masked-token objective (Devlin et al. 2019, section 3.1): some tokens are to be predicted from all others; of
// these, most are replaced by a mask token, some by a random one, some stay (objectives/masking.h).
#pragma once

#include "lithe/objectives/masking.h"
#include "lithe/objectives/stream_batches.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

struct MaskedValues : MaskingValues {
    void check(const Config& config, Problems& problems) const;
};

// For objectives that predict from both sides.
void require_both_directions(const Config& config, Problems& problems);

class MaskedObjective : public TokenObjective {
 public:
    MaskedObjective(const Masking& masking, int64_t vocabulary)
        : TokenObjective("masked", vocabulary, TargetDensity::few),
          masking_(masking) {}
    const Masking& masking() const { return masking_; }
    void prepare(Batch& batch, uint64_t key, int64_t first_row) const override {
        mask_rows(masking_, batch, key, first_row);
    }
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override { return {.carries_state = false, .unscored = "what is not masked"}; }

 private:
    Masking masking_;
};

std::unique_ptr<Objective> make_masked(const ObjectiveOptions& options, const Config& config,
                                       const Tokenizer& tokenizer);

// Masks segments of a text, the same tokens of it each time: targets are those that are scored and predicted.
void mask_rows_of_text(const Masking& masking, Batch& batch, const std::vector<ScoredRow>& rows);

}  // namespace lithe

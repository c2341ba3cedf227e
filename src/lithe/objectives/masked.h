// The masked-token objective (Devlin et al. 2019, section 3.1): some tokens are to be predicted from all others; of
// these, most are replaced by a mask token, some by a random one, some stay.
#pragma once

#include "lithe/objectives/stream_batches.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

struct MaskedValues {
    double mask_rate = 0.15;
    double mask_share = 0.8, random_share = 0.1;
    std::string mask_token = "auto";
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

struct Masking {
    double rate = 0.15, mask_share = 0.8, random_share = 0.1;
    int64_t mask_id = 0;
    int64_t vocabulary = 0;  // random tokens are below this

    struct Choice {
        bool scored = false;
        int64_t input = 0;
    };
    // What becomes of token `id` at number `place` of stream `key`; equal arguments choose equally.
    Choice choose(int64_t id, uint64_t key, uint64_t place) const;
};

class MaskedObjective : public TokenObjective {
 public:
    MaskedObjective(const Masking& masking, int64_t vocabulary)
        : TokenObjective("masked", vocabulary, TargetDensity::few),
          masking_(masking) {}
    const Masking& masking() const { return masking_; }
    void prepare(Batch& batch, uint64_t key, int64_t first_row) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override { return {.carries_state = false, .unscored = "what is not masked"}; }

 private:
    void mask_scored(Batch& batch, const std::vector<ScoredRow>& rows) const;
    Masking masking_;
};

// Throws usage when mask_token is no token of the tokenizer.
std::unique_ptr<Objective> make_masked(const ObjectiveOptions& options, const Config& config,
                                       const Tokenizer& tokenizer);

}  // namespace lithe

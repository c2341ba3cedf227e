// Causal and masked in one stack with one head (GPT-BERT: Charpentier and Samuel 2024, arXiv 2410.24159): some rows are
// read forward and predict each next token, the others are masked and read from both sides. These predict a masked
// token one position before it (masked next token prediction, section 3), so that both predict what comes next:
//
//   causal row  h_t of x_0 ... x_t              predicts x_t+1
//   masked row  h_t of all of the masked row    predicts x_t+1 where that is to be predicted
//   loss = (1 - s) mean over causal targets + s mean over masked targets        s: `masked_share` of rows
//
// Which rows are masked depends on the update and the row's number: of the first n rows floor(n s + u), u in [0, 1)
// drawn for each update. The model is a causal one, and is evaluated as that.
#pragma once

#include "lithe/objectives/masking.h"
#include "lithe/objectives/stream_batches.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

struct MixedValues : MaskingValues {
    double masked_share = 0.5;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

// Tells what blocks of a causal model cannot read a segment from both sides with the same weights.
void require_both_readings(const Config& config, Problems& problems);

class MixedObjective : public TokenObjective {
 public:
    MixedObjective(const MixedValues& values, const Masking& masking, int64_t vocabulary)
        : TokenObjective("mixed", vocabulary, TargetDensity::most),
          share_(values.masked_share),
          masking_(masking) {}
    static constexpr const char* kMasked = "masked";  // the term of masked rows

    // Rows' classes become 1 where they are masked, else 0.
    void prepare(Batch& batch, uint64_t key, int64_t first_row) const override;
    std::map<std::string, double> weights(const Batch& batch) const override;
    LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                    const DrawKeys& keys) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override {
        return make_stream_batches(text, protocol, {});
    }
    bool loss_is_cross_entropy() const override { return false; }  // of next tokens alone
    // How many of the first rows of an update are masked.
    int64_t masked_before(int64_t row, uint64_t key) const;

 private:
    double share_;
    Masking masking_;
};

std::unique_ptr<Objective> make_mixed(const ObjectiveOptions& options, const Config& config,
                                      const Tokenizer& tokenizer);

}  // namespace lithe

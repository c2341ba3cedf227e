// Replaced tokens (ELECTRA: Clark et al. 2020, arXiv 2003.10555, and its code): a generator fills in masked tokens, and
// the model tells of every token whether it is the text's own.
//
//   x: a text;  m: its masked positions, `mask_rate` of it;  x~: x with a token drawn from the generator's softmax at
//   temperature T in each place of m;  label_t = [x~_t != x_t], so that a drawn token that is the text's own is none
//   loss = sum over m of -log G(x_t) / |m| + `replaced_weight` sum over t of BCE(D(x~)_t, label_t) / tokens
//
// Draws have no gradient. Generator and model share the embeddings. Draws are a function of the update, the row's
// number in it and the position. The main model is a stack without a head; what is fine-tuned of it has no generator.
#pragma once

#include "lithe/model/generator.h"
#include "lithe/model/token_head.h"
#include "lithe/objectives/masked.h"

namespace lithe {

struct ReplacedValues : MaskingValues {
    double replaced_weight = 50;
    double temperature = 1;
    GeneratorOptions generator;
    ReplacedValues();  // 85 % of what is predicted is masked, the rest stays
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

// What stands beside the main model.
struct ReplacedParts : Companion {
    static constexpr const char* kHead = "replaced_head";
    ReplacedParts(LanguageModel& model, const Config& config, const ReplacedValues& values);
    Generator generator;
    TokenHead head;
    double predicted;  // share of the tokens
    double flops_per_token(const CostShape& shape) const override;
};

class ReplacedObjective : public TokenObjective {
 public:
    ReplacedObjective(const ReplacedValues& values, const Masking& masking, int64_t vocabulary)
        : TokenObjective("replaced", vocabulary, TargetDensity::few),
          values_(values),
          masking_(masking) {}
    static constexpr const char* kReplaced = "replaced";  // the model's term

    Models models(const Config& config, std::shared_ptr<ParameterStore> store) const override;
    // The main sequence is the text, its targets what is told apart; the source is what the generator reads, and its
    // flags are what it predicts.
    void prepare(Batch& batch, uint64_t key, int64_t first_row) const override;
    std::map<std::string, double> weights(const Batch& batch) const override;
    LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                    const DrawKeys& keys) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override { return {.carries_state = false, .unscored = "nothing"}; }
    ScoreKind score_kind() const override { return {"replaced_bits", "bits per token"}; }
    bool loss_is_cross_entropy() const override { return false; }  // of tokens
    std::vector<Score> judge(const RowOutputs& rows) const override;
    ScoredRows score(const Models& models, const DeviceBatch& batch, const State& state, Pass pass) const override;

    // A text with the generator's tokens in it.
    struct Filled {
        Tensor ids_TB, labels_TB;  // labels: whether a token is not the text's (bool)
        Tensor generator_loss;     // summed, in nats
        Aux aux;
    };
    Filled fill(const Models& models, const DeviceBatch& batch, bool training, const DrawKeys& keys) const;

 private:
    ReplacedValues values_;
    Masking masking_;
};

// A token of each row of logits [N][V] at a temperature, by uniform numbers [N] in [0, 1).
Tensor draw_tokens(const Tensor& logits_NV, const Tensor& uniform_N, double temperature);

std::unique_ptr<Objective> make_replaced(const ObjectiveOptions& options, const Config& config,
                                         const Tokenizer& tokenizer);

}  // namespace lithe

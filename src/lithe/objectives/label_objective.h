// What objectives share whose rows are whole texts with a label each: a stack, a pooled vector, a head on it.
#pragma once

#include "lithe/data/labelled_texts.h"
#include "lithe/objectives/token_objective.h"

namespace lithe {

// How the two texts of a pair are read: as one sequence, or each for itself by the same stack.
enum class PairForm { joined, apart };
constexpr auto names_of(PairForm) {
    using enum PairForm;
    return std::to_array<Named<PairForm>>({{joined, "joined"}, {apart, "apart"}});
}

// Options that they share.
struct LabelValues {
    Pooling pooling = Pooling::automatic;
    PairForm pairs = PairForm::joined;
    double dropout = 0.1;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
};

class LabelObjective : public Objective {
 public:
    LabelObjective(std::string name, const LabelValues& values, const Config& config, const Tokenizer& tokenizer);
    const std::string& name() const override { return name_; }
    int64_t vocabulary() const override { return vocabulary_; }
    Models models(const Config& config, std::shared_ptr<ParameterStore> store) const override;
    void prepare(Batch&, uint64_t, int64_t) const override {}  // feeders give labels
    LossOutput loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                    const DrawKeys& keys) const override;
    std::unique_ptr<Feeder> feeder(const Config& config, const Tokenizer& tokenizer,
                                   std::vector<FeedSource> sources) const override;
    std::unique_ptr<ScoredBatches> scored_batches(const ScoredText& text,
                                                  const EvaluationProtocol& protocol) const override;
    ScoringWords scoring_words() const override { return {.carries_state = false, .unscored = "nothing"}; }
    bool loss_is_cross_entropy() const override { return false; }  // of tokens
    bool reads_labels() const override { return true; }
    ScoredRows score(const Models& models, const DeviceBatch& batch, const State& state, Pass pass) const override;

    // Outputs [B][outputs] of rows, at least fp32, under `pass` with the batch's flags.
    Tensor outputs(const Models& models, const DeviceBatch& batch, Pass pass) const;
    // What text a model takes: `length` tokens at most.
    LabelledTexts texts(const TokenView& tokens, int64_t length) const;
    int64_t columns() const { return columns_; }
    // What outputs of a row mean.
    struct Told {
        std::string prediction;             // a class, or the number as text
        std::optional<double> probability;  // of a class
        double number = 0;                  // where there is no probability
    };
    virtual Told tell(const double* outputs) const = 0;

 protected:
    // Set by kinds when they are made.
    void set_columns(int64_t columns) { columns_ = columns; }
    // Puts labels of these texts into a batch. Throws bad_file for a label that the objective does not know.
    virtual void label(Batch& batch, const std::vector<const std::string*>& labels) const = 0;
    // The loss's sum over rows.
    virtual Tensor sum(const Tensor& outputs_BC, const Tensor& labels_B) const = 0;
    virtual const char* term() const = 0;

 private:
    struct Forward;
    Forward forward(const Models& models, const DeviceBatch& batch, const Pass& pass) const;
    void fill(const LabelledTexts& texts, const std::vector<uint64_t>& numbers, Batch& batch) const;
    friend class LabelBatches;
    std::string name_;
    SequenceHeadOptions head_;
    int64_t vocabulary_, columns_ = 1;
    bool pairs_;
    PairForm pair_form_;
    TextMarks marks_;
};

}  // namespace lithe

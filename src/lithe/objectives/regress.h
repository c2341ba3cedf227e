// Giving texts numbers: the squared error of the head's output.
//
//   loss = sum over rows of (output - (number - mean) / deviation)^2 / rows
//
// mean and deviation: of the numbers to train on, so that numbers of any size are learnt alike. What is told is
// mean + deviation output.
#pragma once

#include "lithe/objectives/label_objective.h"

namespace lithe {

enum class NumberScore { pearson, spearman };
constexpr auto names_of(NumberScore) {
    using enum NumberScore;
    return std::to_array<Named<NumberScore>>({{pearson, "pearson"}, {spearman, "spearman"}});
}

struct RegressValues {
    LabelValues shared;
    NumberScore score = NumberScore::pearson;
    double mean = 0, deviation = 0;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const { shared.check(config, problems); }
    // Mean and deviation of the training text's numbers.
    void take_text(const TokenView& text, const Config& config);
};

class RegressObjective : public LabelObjective {
 public:
    RegressObjective(const RegressValues& values, const Config& config, const Tokenizer& tokenizer);
    std::map<std::string, double> weights(const Batch& batch) const override { return {{term(), double(batch.rows)}}; }
    ScoreKind score_kind() const override;
    std::vector<Score> judge(const RowOutputs& rows) const override;
    Told tell(const double* outputs) const override;
    std::vector<std::string> labels() const override { return {"0", "1"}; }

 protected:
    void label(Batch& batch, const std::vector<const std::string*>& labels) const override;
    Tensor sum(const Tensor& outputs_BC, const Tensor& labels_B) const override;
    const char* term() const override { return "squared_error"; }

 private:
    NumberScore score_;
    double mean_, deviation_;
};

std::unique_ptr<Objective> make_regress(const ObjectiveOptions& options, const Config& config,
                                        const Tokenizer& tokenizer);

}  // namespace lithe

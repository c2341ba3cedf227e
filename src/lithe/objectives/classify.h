// Telling texts apart: the cross-entropy of a text's class under a softmax of the head's outputs.
//
//   loss = sum over rows of  w_y (-log softmax(outputs)_y) / sum over rows of w_y
//
// w: class weights, 1 where nothing else is said. Classes are numbered as objective.labels names them.
#pragma once

#include "lithe/objectives/label_objective.h"

namespace lithe {

enum class ClassScore { accuracy, f1, matthews };
constexpr auto names_of(ClassScore) {
    using enum ClassScore;
    return std::to_array<Named<ClassScore>>({{accuracy, "accuracy"}, {f1, "f1"}, {matthews, "matthews"}});
}

struct ClassifyValues {
    LabelValues shared;
    std::vector<std::string> labels, class_weights;
    ClassScore score = ClassScore::accuracy;
    std::string positive;
    void visit(FieldVisitor& v);
    void check(const Config& config, Problems& problems) const;
    // The labels that the training text has, and weights that are counted from it.
    void take_text(const TokenView& text, const Config& config);
};

class ClassifyObjective : public LabelObjective {
 public:
    ClassifyObjective(const ClassifyValues& values, const Config& config, const Tokenizer& tokenizer);
    std::map<std::string, double> weights(const Batch& batch) const override;
    ScoreKind score_kind() const override;
    std::vector<Score> judge(const RowOutputs& rows) const override;
    Told tell(const double* outputs) const override;
    std::vector<std::string> labels() const override { return labels_; }

 protected:
    void label(Batch& batch, const std::vector<const std::string*>& labels) const override;
    Tensor sum(const Tensor& outputs_BC, const Tensor& labels_B) const override;
    const char* term() const override { return kCrossEntropy; }

 private:
    std::vector<std::string> labels_;
    std::map<std::string, int64_t> numbers_;  // of labels
    std::vector<double> class_weights_;       // empty: 1 each
    ClassScore score_;
    int64_t positive_;  // class of the F1 of two classes
};

std::unique_ptr<Objective> make_classify(const ObjectiveOptions& options, const Config& config,
                                         const Tokenizer& tokenizer);

}  // namespace lithe

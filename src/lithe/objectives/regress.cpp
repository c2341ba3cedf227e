#include "lithe/objectives/regress.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/score/label_scores.h"

namespace lithe {

void RegressValues::visit(FieldVisitor& v) {
    shared.visit(v);
    v.field({.name = "score", .help = "what evaluations are ranked by: pearson or spearman"}, score);
}

RegressObjective::RegressObjective(const RegressValues& values, const Config& config, const Tokenizer& tokenizer)
    : LabelObjective("regress", values.shared, config, tokenizer),
      score_(values.score) {
    set_columns(1);
}

static double number_of(const std::string& label) {
    const auto value = parse_number(label);
    if (!value || !std::isfinite(*value))
        fail_file("the label \"" + printable(label) + "\" is no number", "data",
                  "objective.name = \"classify\" tells texts apart by labels that are words");
    return *value;
}

void RegressObjective::label(Batch& batch, const std::vector<const std::string*>& labels) const {
    for (const std::string* label : labels) batch.labels.numbers.push_back(number_of(*label));
}

Tensor RegressObjective::sum(const Tensor& outputs_BC, const Tensor& labels_B) const {
    return (outputs_BC.squeeze(1) - labels_B.to(outputs_BC.scalar_type())).square().sum();
}

ScoreKind RegressObjective::score_kind() const {
    return score_ == NumberScore::pearson ? ScoreKind{"pearson", "Pearson correlation", false}
                                          : ScoreKind{"spearman", "Spearman correlation", false};
}

std::vector<Score> RegressObjective::judge(const RowOutputs& rows) const {
    std::vector<Score> scores = {
        {{"pearson", "Pearson correlation", false}, pearson(rows.values, rows.labels.numbers)},
        {{"spearman", "Spearman correlation", false}, spearman(rows.values, rows.labels.numbers)}};
    if (score_ == NumberScore::spearman) std::swap(scores[0], scores[1]);
    return scores;
}

LabelObjective::Told RegressObjective::tell(const double* outputs) const {
    return {fmt::format("{:.6g}", outputs[0]), std::numeric_limits<double>::quiet_NaN()};
}

std::unique_ptr<Objective> make_regress(const ObjectiveOptions& options, const Config& config,
                                        const Tokenizer& tokenizer) {
    return std::make_unique<RegressObjective>(values_of<RegressValues>(options), config, tokenizer);
}

}  // namespace lithe

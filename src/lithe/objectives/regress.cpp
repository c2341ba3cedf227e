#include "lithe/objectives/regress.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/score/label_scores.h"

namespace lithe {

void RegressValues::visit(FieldVisitor& v) {
    shared.visit(v);
    v.field({.name = "score", .help = "what evaluations are ranked by: pearson or spearman"}, score);
    v.field({.name = "mean", .help = "of the numbers; taken from the training text where deviation is 0"}, mean);
    v.field({.name = "deviation", .help = "of the numbers; 0: both are those of the training text", .minimum = 0},
            deviation);
}

static double number_of(const std::string& label) {
    const auto value = parse_number(label);
    if (!value || !std::isfinite(*value))
        fail_file("the label \"" + printable(label) + "\" is no number", "data",
                  "objective.name = \"classify\" tells texts apart by labels that are words");
    return *value;
}

// Calls use(number) for each text.
template <class F> static void for_each_number(const TokenView& text, bool pairs, const F& use) {
    std::vector<double> numbers;  // of each label
    for (const std::string& name : text.label_names()) numbers.push_back(number_of(name));
    for (uint64_t i = 0; i < text.documents(); i += pairs ? 2 : 1)
        if (const int32_t label = text.document_label(i); label >= 0 && size_t(label) < numbers.size())
            use(numbers[size_t(label)]);
}

void RegressValues::take_text(const TokenView& text, const Config& config) {
    if (deviation > 0) return;
    const bool pairs = !config.data.second.empty();
    double sum = 0, squares = 0, count = 0;
    for_each_number(text, pairs, [&](double number) {
        sum += number;
        ++count;
    });
    if (count == 0) fail_file("the training text has no labels", "data", "data.label names the field that holds them");
    mean = sum / count;
    for_each_number(text, pairs, [&](double number) { squares += (number - mean) * (number - mean); });
    deviation = std::sqrt(squares / count);
    if (!(deviation > 0))
        fail_file("every text to train on has the number " + format_number(mean) + ": there is nothing to learn",
                  "data");
    log_info("numbers    mean " + fmt::format("{:.6g}", mean) + ", deviation " + fmt::format("{:.6g}", deviation));
}

RegressObjective::RegressObjective(const RegressValues& values, const Config& config, const Tokenizer& tokenizer)
    : LabelObjective("regress", values.shared, config, tokenizer),
      score_(values.score),
      mean_(values.mean),
      deviation_(values.deviation > 0 ? values.deviation : 1) {  // until a text is read
    set_columns(1);
}

void RegressObjective::label(Batch& batch, const std::vector<const std::string*>& labels) const {
    for (const std::string* label : labels) batch.labels.numbers.push_back((number_of(*label) - mean_) / deviation_);
}

Tensor RegressObjective::sum(const Tensor& outputs_BC, const Tensor& labels_B) const {
    return (outputs_BC.squeeze(1) - labels_B.to(outputs_BC.scalar_type())).square().sum();
}

ScoreKind RegressObjective::score_kind() const {
    return score_ == NumberScore::pearson ? ScoreKind{"pearson", "Pearson correlation", false}
                                          : ScoreKind{"spearman", "Spearman correlation", false};
}

std::vector<Score> RegressObjective::judge(const RowOutputs& rows) const {
    const auto& numbers = rows.labels.numbers;
    if (!numbers.empty() && std::all_of(numbers.begin(), numbers.end(), [&](double n) { return n == numbers[0]; }))
        log_info_once("numbers    all texts that are scored have the same: there is no correlation");
    std::vector<Score> scores = {
        {{"pearson", "Pearson correlation", false}, pearson(rows.values, rows.labels.numbers)},
        {{"spearman", "Spearman correlation", false}, spearman(rows.values, rows.labels.numbers)}};
    if (score_ == NumberScore::spearman) std::swap(scores[0], scores[1]);
    return scores;
}

LabelObjective::Told RegressObjective::tell(const double* outputs) const {
    const double number = mean_ + deviation_ * outputs[0];
    return {.prediction = format_number(number), .number = number};
}

std::unique_ptr<Objective> make_regress(const ObjectiveOptions& options, const Config& config,
                                        const Tokenizer& tokenizer) {
    return std::make_unique<RegressObjective>(values_of<RegressValues>(options), config, tokenizer);
}

}  // namespace lithe

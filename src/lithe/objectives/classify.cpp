#include "lithe/objectives/classify.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/score/label_scores.h"

namespace lithe {
namespace {

constexpr size_t kMostClasses = 10000;

// Numbers by size, before words by the alphabet.
bool label_less(const std::string& a, const std::string& b) {
    const auto x = parse_number(a), y = parse_number(b);
    if (x && y && *x != *y) return *x < *y;
    if (x.has_value() != y.has_value()) return x.has_value();
    return a < b;
}

// How many texts have each label.
std::map<std::string, int64_t> counted(const TokenView& text, bool pairs) {
    std::map<std::string, int64_t> counts;
    const std::vector<std::string>& names = text.label_names();
    for (uint64_t i = 0; i < text.documents(); i += pairs ? 2 : 1) {
        const int32_t label = text.document_label(i);
        if (label >= 0 && size_t(label) < names.size()) ++counts[names[size_t(label)]];
    }
    return counts;
}

std::vector<std::string> found_labels(const std::map<std::string, int64_t>& counts) {
    std::vector<std::string> labels;
    for (const auto& [label, count] : counts) labels.push_back(label);
    std::sort(labels.begin(), labels.end(), label_less);
    return labels;
}

// A header row that is taken for a text, or a slip of the pen, is seen by its count.
void tell_labels(const std::vector<std::string>& labels, const std::map<std::string, int64_t>& counts) {
    constexpr size_t kShown = 12;
    std::vector<std::string> words;
    for (size_t i = 0; i < std::min(kShown, labels.size()); ++i)
        words.push_back(printable(labels[i]) + " " + std::to_string(counts.at(labels[i])));
    if (labels.size() > kShown) words.push_back(std::to_string(labels.size() - kShown) + " more");
    log_info("labels     " + join(words, ", "));
    std::vector<std::string> rare;
    for (const std::string& label : labels)
        if (counts.at(label) == 1) rare.push_back("\"" + printable(label) + "\"");
    if (rare.empty()) return;
    const size_t all = rare.size();
    rare.resize(std::min(kShown, all));
    log_warning("one text alone has the label " + join(rare, ", ") +
                (all > kShown ? ", and so have " + std::to_string(all - kShown) + " more" : ""));
}

// "LABEL=WEIGHT"; a label may hold "=".
std::pair<std::string, double> parse_weight(const std::string& text) {
    const size_t at = text.rfind('=');
    const auto weight = at == std::string::npos ? std::nullopt : parse_number(text.substr(at + 1));
    if (!weight || !(*weight > 0) || !std::isfinite(*weight))
        fail_usage("expected \"LABEL=WEIGHT\" with a weight above 0, or \"balanced\", got \"" + printable(text) + "\"",
                   "objective.class_weights");
    return {text.substr(0, at), *weight};
}

bool is_balanced(const std::vector<std::string>& weights) { return weights.size() == 1 && weights[0] == "balanced"; }

}  // namespace

void ClassifyValues::visit(FieldVisitor& v) {
    shared.visit(v);
    v.field({.name = "labels", .help = "names of the classes; empty: those of the training text"}, labels);
    v.field(
        {.name = "class_weights",
         .help = "of texts in the loss, as [\"rare=3\", \"common=1\"]; \"balanced\": texts / (classes x texts of the "
                 "class); empty: 1 each"},
        class_weights);
    v.field({.name = "score",
             .help = "what evaluations are ranked by: accuracy, f1 (of the positive class of two, else the mean over "
                     "classes), or matthews"},
            score);
    v.field({.name = "positive", .help = "two classes: the one that F1 is of; empty: the last of objective.labels"},
            positive);
}

void ClassifyValues::check(const Config& config, Problems& problems) const {
    shared.check(config, problems);
    if (labels.size() == 1) problems.add("one class alone: there is nothing to tell apart", "objective.labels");
    std::vector<std::string> sorted = labels;
    std::sort(sorted.begin(), sorted.end());
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
        problems.add("the label \"" + printable(*twice) + "\" stands twice", "objective.labels");
    if (!positive.empty() && !labels.empty() && std::find(labels.begin(), labels.end(), positive) == labels.end())
        problems.add("\"" + printable(positive) + "\" is no label" + did_you_mean(positive, labels),
                     "objective.positive");
}

void ClassifyValues::take_text(const TokenView& text, const Config& config) {
    const std::map<std::string, int64_t> counts = counted(text, !config.data.second.empty());
    if (counts.empty())
        fail_file("the training text has no labels", "data", "data.label names the field that holds them");
    if (labels.empty()) labels = found_labels(counts);
    if (labels.size() == 1)
        fail_file(
            "every text to train on has the label \"" + printable(labels[0]) + "\": there is nothing to tell apart",
            "data", "where few texts are divided, one class may stand in validation alone: give more of them");
    if (labels.size() > kMostClasses)
        fail_usage("the labels are " + std::to_string(labels.size()) + " different ones", "data.label",
                   "are they numbers? objective.name = \"regress\" learns these");
    for (const std::string& label : labels)
        if (!counts.contains(label))
            fail_file("no text to train on has the label \"" + printable(label) + "\"", "objective.labels",
                      "the training text has: " + printable(join(found_labels(counts), ", ").substr(0, 200)));
    tell_labels(labels, counts);
    if (!is_balanced(class_weights)) return;
    double all = 0;
    for (const std::string& label : labels) all += double(counts.at(label));
    class_weights.clear();
    for (const std::string& label : labels)
        class_weights.push_back(label + "=" + format_number(all / (double(labels.size()) * double(counts.at(label)))));
}

ClassifyObjective::ClassifyObjective(const ClassifyValues& values, const Config& config, const Tokenizer& tokenizer)
    : LabelObjective("classify", values.shared, config, tokenizer),
      labels_(values.labels.empty() ? std::vector<std::string>{"0", "1"} : values.labels),  // until a text is read
      score_(values.score),
      positive_(int64_t(labels_.size()) - 1) {
    for (size_t i = 0; i < labels_.size(); ++i) numbers_[labels_[i]] = int64_t(i);
    set_columns(int64_t(labels_.size()));
    if (!values.positive.empty() && !values.labels.empty()) {
        const auto found = numbers_.find(values.positive);
        if (found == numbers_.end())
            fail_usage("\"" + printable(values.positive) + "\" is no label" + did_you_mean(values.positive, labels_),
                       "objective.positive");
        positive_ = found->second;
    }
    if (values.labels.empty() || values.class_weights.empty() || is_balanced(values.class_weights)) return;
    class_weights_.assign(labels_.size(), 1);
    for (const std::string& each : values.class_weights) {
        const auto [label, weight] = parse_weight(each);
        const auto found = numbers_.find(label);
        if (found == numbers_.end())
            fail_usage("\"" + printable(label) + "\" is no label" + did_you_mean(label, labels_),
                       "objective.class_weights");
        class_weights_[size_t(found->second)] = weight;
    }
}

std::map<std::string, double> ClassifyObjective::weights(const Batch& batch) const {
    double sum = 0;
    for (const int64_t label : batch.labels.classes) sum += class_weights_.empty() ? 1 : class_weights_[size_t(label)];
    return {{kCrossEntropy, sum}};
}

void ClassifyObjective::label(Batch& batch, const std::vector<const std::string*>& labels) const {
    for (const std::string* name : labels) {
        const auto found = numbers_.find(*name);
        if (found == numbers_.end())
            fail_file("the label \"" + printable(*name) + "\" is none that the model was trained for", "data",
                      "it knows " + printable(join(labels_, ", ").substr(0, 200)) +
                          "; a label of few texts may stand in validation alone: give more texts, or a file of its "
                          "own for validation");
        batch.labels.classes.push_back(found->second);
    }
}

Tensor ClassifyObjective::sum(const Tensor& outputs_BC, const Tensor& labels_B) const {
    Tensor weights_C;
    if (!class_weights_.empty())
        weights_C = at::tensor(class_weights_, at::kDouble).to(outputs_BC.device(), outputs_BC.scalar_type());
    return at::cross_entropy_loss(outputs_BC, labels_B, weights_C, at::Reduction::Sum);
}

ScoreKind ClassifyObjective::score_kind() const {
    switch (score_) {
        case ClassScore::accuracy: break;
        case ClassScore::f1: return {"f1", "F1", false};
        case ClassScore::matthews: return {"matthews", "Matthews correlation", false};
    }
    return {"accuracy", "accuracy", false};
}

std::vector<Score> ClassifyObjective::judge(const RowOutputs& rows) const {
    std::vector<int64_t> given;
    for (int64_t row = 0; row < rows.rows(); ++row) {
        const double* outputs = rows.values.data() + row * rows.columns;
        given.push_back(std::max_element(outputs, outputs + rows.columns) - outputs);
    }
    const ConfusionMatrix matrix(rows.labels.classes, given, rows.columns);
    const double f1 = rows.columns == 2 ? matrix.f1(positive_) : matrix.macro_f1();
    std::vector<Score> scores = {{{"accuracy", "accuracy", false}, matrix.accuracy()},
                                 {{"f1", "F1", false}, f1},
                                 {{"matthews", "Matthews correlation", false}, matrix.matthews()}};
    std::stable_partition(scores.begin(), scores.end(), [&](const Score& each) { return each.kind == score_kind(); });
    return scores;
}

LabelObjective::Told ClassifyObjective::tell(const double* outputs) const {
    const double* best = std::max_element(outputs, outputs + columns());
    double sum = 0;
    for (int64_t c = 0; c < columns(); ++c) sum += std::exp(outputs[c] - *best);
    return {.prediction = labels_.at(size_t(best - outputs)), .probability = 1 / sum};
}

std::unique_ptr<Objective> make_classify(const ObjectiveOptions& options, const Config& config,
                                         const Tokenizer& tokenizer) {
    return std::make_unique<ClassifyObjective>(values_of<ClassifyValues>(options), config, tokenizer);
}

}  // namespace lithe

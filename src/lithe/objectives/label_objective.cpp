#include "lithe/objectives/label_objective.h"

#include <algorithm>
#include <numeric>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/rng.h"
#include "lithe/data/window_feeder.h"

namespace lithe {

void LabelValues::visit(FieldVisitor& v) {
    v.field({.name = "pooling",
             .help = "what of a text the head sees: first, its first position; last, its last; mean, all of them. "
                     "auto: last for a causal model, first where the tokenizer has [CLS] or <s>, else mean"},
            pooling);
    v.field({.name = "pairs",
             .help = "data.second: joined, both texts in one sequence; apart, each for itself by the same stack, and "
                     "the head sees u, v, |u - v| and u v"},
            pairs);
    v.field({.name = "dropout", .help = "of what the head sees", .minimum = 0, .maximum = 0.99}, dropout);
}

void LabelValues::check(const Config& config, Problems& problems) const {
    if (config.model.direction == Direction::causal && pooling == Pooling::first)
        problems.add("a causal model's first position has seen nothing of the text", "objective.pooling",
                     "last or mean");
    const DataConfig &data = config.data, defaults;
    if (pairs == PairForm::apart && data.second.empty())
        problems.add("texts stand alone: there are no pairs to be read apart", "objective.pairs",
                     "data.second names the field of the second text");
    if ((!data.train.empty() || !data.path.empty()) && data.label.empty())
        problems.add("no field of the text is named to take labels from", "data.label",
                     "name the column, as data.label = \"label\"");
    const ModelConfig& model = config.model;
    if (model.positions == Positions::learned && model.max_positions > 0 && config.train.length > model.max_positions)
        problems.add("texts of up to " + std::to_string(config.train.length) + " tokens, and the model has " +
                         std::to_string(model.max_positions) + " positions",
                     "train.length", "at most " + std::to_string(model.max_positions));
    if (!data.sources.empty()) problems.add("labels come from one text", "data.sources");
    if (config.search.supernet && config.search.held_out > 0)
        problems.add("labels are of whole texts, and a search holds out tokens", "search.held_out", "set it to 0");
    if (!data.parallel.empty())
        problems.add("pairs of one label come from one file: data.second names the second field", "data.parallel");
    if (data.order != defaults.order || data.rows != defaults.rows)
        problems.add("texts come in an order of their own, those of a length together", "data.order, data.rows",
                     "leave both out");
    refuse_encoder(config, problems);
}

static Pooling resolved(Pooling asked, const Config& config, const TextMarks& marks) {
    if (asked != Pooling::automatic) return asked;
    if (config.model.direction == Direction::causal) return Pooling::last;
    return marks.before.empty() ? Pooling::mean : Pooling::first;
}

LabelObjective::LabelObjective(std::string name, const LabelValues& values, const Config& config,
                               const Tokenizer& tokenizer)
    : name_(std::move(name)),
      vocabulary_(std::max(tokenizer.vocabulary_size(), config.model.vocabulary_size)),  // a model may know a mask, too
      pairs_(!config.data.second.empty()),
      pair_form_(values.pairs),
      marks_(marks_of(tokenizer)) {
    head_.pooling = resolved(values.pooling, config, marks_);
    head_.dropout = values.dropout;
    head_.of_pairs = values.pairs == PairForm::apart;
}

Models LabelObjective::models(const Config& config, std::shared_ptr<ParameterStore> store) const {
    Config own = config;
    own.model.head = HeadForm::none;
    const int64_t stated = config.model.vocabulary_size;
    const auto main = std::make_shared<LanguageModel>(own, stated > 0 ? stated : vocabulary_, std::move(store));
    SequenceHeadOptions head = head_;
    head.outputs = columns_;
    Models models;
    models.sequence_head = std::make_shared<SequenceHead>(*main, head);
    models.by_role["main"] = main;
    return models;
}

struct LabelObjective::Forward {
    Tensor outputs_BC;
    Aux aux;
};

// Texts stand alone: there is no memory, and no rule of a text that goes on.
static Pass of_texts(Pass pass, const Tensor& flags_TB) {
    pass.set_flags(flags_TB);
    pass.memory = 0;
    pass.window = -1;
    pass.clamp_length = -1;
    return pass;
}

LabelObjective::Forward LabelObjective::forward(const Models& models, const DeviceBatch& batch,
                                                const Pass& given) const {
    const LanguageModel& model = models.main();
    const SequenceHead& head = *models.sequence_head;
    const Pass pass = of_texts(given, batch.flags_TB);
    TokenStack::Output first = model.hidden(batch.ids_TB, {}, pass);
    const Tensor u_BD = head.pooled(model, first.h_TBD, pass);
    if (!batch.source_SB.defined()) return {head(u_BD, pass), std::move(first.aux)};
    Pass beside = of_texts(given, batch.source_flags_SB);
    beside.keys.rows = combine_key(beside.keys.rows, "second text");
    TokenStack::Output second = model.hidden(batch.source_SB, {}, beside);
    first.aux.append(std::move(second.aux));
    return {head(u_BD, head.pooled(model, second.h_TBD, beside), pass), std::move(first.aux)};
}

LossOutput LabelObjective::loss(const Models& models, const DeviceBatch& batch, const State&, bool training,
                                const DrawKeys& keys) const {
    Forward made = forward(models, batch, models.main().pass(training, keys));
    LossOutput result;
    result.terms.push_back({.name = term(), .sum = sum(made.outputs_BC, batch.labels_B)});
    add_aux(std::move(made.aux), batch, result);
    return result;
}

Tensor LabelObjective::outputs(const Models& models, const DeviceBatch& batch, Pass pass) const {
    return forward(models, batch, pass).outputs_BC;
}

ScoredRows LabelObjective::score(const Models& models, const DeviceBatch& batch, const State&, Pass pass) const {
    const Tensor outputs_BC = outputs(models, batch, std::move(pass));
    return {.sum = sum(outputs_BC, batch.labels_B), .state = {}, .outputs_BC = outputs_BC};
}

LabelledTexts LabelObjective::texts(const TokenView& tokens, int64_t length) const {
    return {tokens, {.marks = marks_, .pairs = pairs_, .apart = pair_form_ == PairForm::apart, .length = length}};
}

void LabelObjective::fill(const LabelledTexts& texts, const std::vector<uint64_t>& numbers, Batch& batch) const {
    texts.fill(numbers, batch);
    std::vector<const std::string*> labels;
    for (const uint64_t number : numbers) labels.push_back(&texts.label(number));
    label(batch, labels);
}

static void require_labels(const TokenView& tokens, bool pairs) {
    if (tokens.paired().value_or(pairs) != pairs)
        fail_file(pairs ? "the documents of the token set are no pairs" : "the documents of the token set are pairs",
                  "data", pairs ? "leave data.second out" : "data.second says so: name the field of the second text");
    if (tokens.label_names().empty())
        fail_file("the text has no labels", "data",
                  "data.label names their field; a token set keeps them when it is prepared with that setting");
}

static void tell_cut(uint64_t cut, uint64_t all, int64_t length) {
    if (cut == 0) return;
    log_info("texts      " + std::to_string(cut) + " of " + std::to_string(all) + " are longer than " +
             std::to_string(length) + " tokens and are cut");
}

std::unique_ptr<Feeder> LabelObjective::feeder(const Config& config, const Tokenizer&,
                                               std::vector<FeedSource> sources) const {
    const TokenView& tokens = *sources.at(0).tokens;
    require_labels(tokens, pairs_);
    const LabelledTexts all = texts(tokens, config.train.length);
    std::vector<SizedRow> rows;
    uint64_t cut = 0;
    Batch unused;  // a label that cannot be is told before the first step
    for (uint64_t number = 0; number < all.size(); ++number) {
        label(unused, {&all.label(number)});
        rows.push_back({number, all.length(number), 0});
        if (all.whole_length(number) > config.train.length) ++cut;
    }
    tell_cut(cut, all.size(), config.train.length);
    return make_window_feeder(
        std::move(rows),
        {.most_rows = config.train.batch,
         .window = config.train.batch * kBatchesOfWindow,
         .seed = combine_key(uint64_t(config.train.seed), "texts")},
        [this, all](const std::vector<uint64_t>& numbers, Batch& batch) { fill(all, numbers, batch); });
}

// Texts by their length, so many at a time: as predict() takes them, so that scores are those of its outputs.
class LabelBatches : public ScoredBatches {
 public:
    LabelBatches(const LabelObjective& objective, const ScoredText& text, const EvaluationProtocol& protocol)
        : objective_(objective),
          texts_(objective.texts(text.tokens(), protocol.length)),
          count_(texts_.size()) {
        require_labels(text.tokens(), texts_.pairs());
        const uint64_t tokens = protocol.bytes > 0 ? text.tokens_within(protocol.bytes) : text.tokens().size();
        const uint64_t sides = texts_.pairs() ? 2 : 1;
        while (count_ > 1 && text.tokens().document_begin(sides * (count_ - 1)) >= tokens) --count_;
        rows_ = std::min<uint64_t>(uint64_t(protocol.batch), std::max<uint64_t>(1, count_));
        order_ = by_length(texts_, count_);
        Batch unused;  // a label that nobody knows is told before the first batch
        for (uint64_t number = 0; number < count_; ++number) objective_.label(unused, {&texts_.label(number)});
    }
    const Batch* next() override {
        if (at_ >= count_) return nullptr;
        const auto begin = order_.begin() + int64_t(at_);
        const std::vector<uint64_t> numbers(begin, begin + int64_t(std::min(rows_, count_ - at_)));
        objective_.fill(texts_, numbers, batch_);
        at_ += numbers.size();
        return &batch_;
    }
    double progress() const override { return double(at_) / double(count_); }
    int64_t rows() const override { return int64_t(rows_); }

 private:
    const LabelObjective& objective_;
    LabelledTexts texts_;
    uint64_t count_, rows_ = 1, at_ = 0;
    std::vector<uint64_t> order_;
    Batch batch_;
};

std::unique_ptr<ScoredBatches> LabelObjective::scored_batches(const ScoredText& text,
                                                              const EvaluationProtocol& protocol) const {
    return std::make_unique<LabelBatches>(*this, text, protocol);
}

}  // namespace lithe

#include "lithe/objectives/replaced.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lithe/base/rng.h"

namespace lithe {
namespace {

constexpr uint8_t kPredicted = 1;  // flag of a source's position

// Columns of what a row is given in an evaluation: sums over its scored tokens.
enum Column : int64_t { kNats, kTokens, kLabelled, kTold, kBoth, kColumns };

}  // namespace

ReplacedValues::ReplacedValues() {
    mask_share = 0.85;
    random_share = 0;
}

void ReplacedValues::visit(FieldVisitor& v) {
    MaskingValues::visit(v);
    v.field({.name = "replaced_weight",
             .help = "replaced: weight of telling replaced tokens, beside 1 of the generator's prediction",
             .minimum = 0.001,
             .maximum = 1e6},
            replaced_weight);
    v.field({.name = "temperature",
             .help = "replaced: of the generator's draws; below 1 likely tokens are likelier",
             .minimum = 0.01,
             .maximum = 100},
            temperature);
    v.field({.name = "generator_width",
             .help = "replaced: the generator's share of the model's width and heads",
             .minimum = 0.01,
             .maximum = 1},
            generator.width);
    v.field({.name = "generator_layout", .help = "replaced: layers of the generator; empty: those of the model"},
            generator.layout);
}

void ReplacedValues::check(const Config& config, Problems& problems) const {
    require_both_directions(config, problems);
    MaskingValues::check(problems);
    refuse_encoder(config, problems);
    if (config.model.head != HeadForm::none)
        problems.add("the generator predicts tokens, and the model tells them apart: it has no head of tokens",
                     "model.head", "model.head = \"none\"");
    if (!config.model.adaptive.cutoffs.empty())
        problems.add("the generator predicts by embeddings of one width", "model.adaptive.cutoffs", "leave it out");
    if (!config.model.ngrams.lengths.empty())
        problems.add("two stacks read the embeddings, and tables of n-grams serve one", "model.ngrams.lengths",
                     "model.ngrams.lengths = \"\"");
    if (config.search.supernet)
        problems.add("a search has one stack, and objective \"replaced\" trains two", "objective.name",
                     "search with objective.name = \"masked\"");
    const ModelConfig stack = Generator::stack_config(config.model, generator);
    const LayoutNode layout = parse_layout(stack.layout);
    if (!has_slots(layout)) resolve_blocks(layout, stack, config.blocks, problems, "objective.generator");
}

ReplacedParts::ReplacedParts(LanguageModel& model, const Config& config, const ReplacedValues& values)
    : generator(model, config, values.generator),
      head(model, kHead),
      predicted(values.mask_rate) {}

double ReplacedParts::flops_per_token(const CostShape& shape) const {
    return generator.flops_per_token(shape, predicted) + head.flops_per_token();
}

Models ReplacedObjective::models(const Config& config, std::shared_ptr<ParameterStore> store) const {
    Models models = TokenObjective::models(config, std::move(store));
    models.companion = std::make_shared<const ReplacedParts>(models.main(), config, values_);
    return models;
}

// Of a batch whose inputs are masked and whose targets are what was there: the text, what is read of it, what is told.
static void set_source(Batch& batch, const std::vector<int64_t>& text, const std::vector<uint8_t>& told) {
    batch.source.length = batch.length;
    batch.source.ids = std::move(batch.inputs);
    batch.source.flags.assign(text.size(), 0);
    for (size_t place = 0; place < text.size(); ++place) {
        if (batch.targets[place] >= 0) batch.source.flags[place] = kPredicted;
        batch.targets[place] = told[place] ? text[place] : -1;
    }
    batch.inputs = text;
}

void ReplacedObjective::prepare(Batch& batch, uint64_t key, int64_t first_row) const {
    const std::vector<int64_t> text = batch.inputs;
    std::vector<uint8_t> told(text.size());
    for (size_t place = 0; place < text.size(); ++place) told[place] = !batch.is_padding(place);
    mask_rows(masking_, batch, key, first_row);
    set_source(batch, text, told);
}

std::unique_ptr<ScoredBatches> ReplacedObjective::scored_batches(const ScoredText& text,
                                                                 const EvaluationProtocol& protocol) const {
    const auto prepare = [masking = masking_](Batch& batch, const std::vector<ScoredRow>& rows) {
        const std::vector<int64_t> ids = batch.inputs;
        std::vector<uint8_t> told(ids.size());
        for (size_t place = 0; place < ids.size(); ++place) {
            const ScoredRow& row = rows[place % rows.size()];
            const uint64_t in_text = row.first + place / rows.size();
            told[place] = in_text >= row.begin && in_text < row.end;
        }
        mask_rows_of_text(masking, batch, rows);
        set_source(batch, ids, told);
    };
    return make_stream_batches(text, protocol, {.tokens_before = 0, .carries_state = false, .prepare = prepare});
}

std::map<std::string, double> ReplacedObjective::weights(const Batch& batch) const {
    auto weights = TokenObjective::weights(batch);
    const double told = weights.at(kCrossEntropy);
    const auto predicted = std::count(batch.source.flags.begin(), batch.source.flags.end(), kPredicted);
    return {{kCrossEntropy, double(predicted)}, {kReplaced, told}};
}

// Of the cumulated softmax the first number beyond the uniform one; in fp64, some rows at a time.
Tensor draw_tokens(const Tensor& logits_NV, const Tensor& uniform_N, double temperature) {
    const at::NoGradGuard no_grad;
    constexpr int64_t kRows = 256;
    std::vector<Tensor> drawn;
    for (int64_t row = 0; row < logits_NV.size(0); row += kRows) {
        const int64_t rows = std::min(kRows, logits_NV.size(0) - row);
        const Tensor part = logits_NV.narrow(0, row, rows).to(at::kDouble) / temperature;
        const Tensor sums = at::cumsum(at::softmax(part, 1), 1);
        const Tensor wanted = uniform_N.narrow(0, row, rows).unsqueeze(1) * sums.narrow(1, sums.size(1) - 1, 1);
        drawn.push_back(at::searchsorted(sums, wanted, false, true).squeeze(1));
    }
    return drawn.empty() ? at::empty({0}, uniform_N.options().dtype(at::kLong))
                         : at::cat(drawn).clamp_max(logits_NV.size(1) - 1);
}

// A number in [0, 1) for each of these places t * rows + row.
static Tensor uniform_numbers(const Tensor& places, int64_t rows, const DrawKeys& keys) {
    const Tensor on_host = places.to(at::kCPU);
    Tensor numbers = at::empty({on_host.size(0)}, at::kDouble);
    const int64_t* place = on_host.data_ptr<int64_t>();
    const uint64_t key = combine_key(keys.update, Generator::kName);
    for (int64_t i = 0; i < on_host.size(0); ++i) {
        const auto row = uint64_t(keys.first_row + place[i] % rows);
        numbers.data_ptr<double>()[i] = random_unit(combine_key(key, row), uint64_t(place[i] / rows));
    }
    return numbers.to(places.device());
}

static const ReplacedParts& parts_of(const Models& models) {
    return dynamic_cast<const ReplacedParts&>(*models.companion);
}

ReplacedObjective::Filled ReplacedObjective::fill(const Models& models, const DeviceBatch& batch, bool training,
                                                  const DrawKeys& keys) const {
    const Generator& generator = parts_of(models).generator;
    Filled filled;
    const Tensor h_TBD = generator.hidden(models.main(), batch.source_SB, batch.flags_TB, training, keys, filled.aux);
    const Tensor places = batch.source_flags_SB.flatten().ne(0).nonzero().squeeze(1);
    filled.ids_TB = batch.ids_TB.clone();
    if (places.numel() == 0) {  // a small batch may have none
        filled.generator_loss = h_TBD.to(ops::compute_type(h_TBD.scalar_type())).sum() * 0;
    } else {
        const Tensor h_ND = h_TBD.flatten(0, 1).index_select(0, places);
        filled.generator_loss = generator.loss(h_ND, batch.ids_TB.flatten().index_select(0, places));
        const at::NoGradGuard no_grad;
        const Tensor drawn =
            draw_tokens(generator.logits(h_ND), uniform_numbers(places, batch.rows(), keys), values_.temperature);
        filled.ids_TB.view({-1}).index_copy_(0, places, drawn);
    }
    filled.labels_TB = filled.ids_TB.ne(batch.ids_TB);
    return filled;
}

// Binary cross-entropy of the tokens that are told apart, in nats, by position.
static Tensor told_losses(const Tensor& scores_TB, const Tensor& labels_TB, const Tensor& targets_TB) {
    const Tensor told_TB = targets_TB.ge(0).to(scores_TB.scalar_type());
    return at::binary_cross_entropy_with_logits(scores_TB, labels_TB.to(scores_TB.scalar_type()), told_TB, {},
                                                at::Reduction::None);
}

LossOutput ReplacedObjective::loss(const Models& models, const DeviceBatch& batch, const State&, bool training,
                                   const DrawKeys& keys) const {
    Filled filled = fill(models, batch, training, keys);
    Pass pass = models.main().pass(training, keys);
    pass.set_flags(batch.flags_TB);
    TokenStack::Output out = models.main().hidden(filled.ids_TB, {}, pass);
    const Tensor scores_TB = parts_of(models).head(out.h_TBD);
    LossOutput result;
    result.terms.push_back({.name = kCrossEntropy, .sum = filled.generator_loss});
    result.terms.push_back({.name = kReplaced,
                            .coefficient = values_.replaced_weight,
                            .sum = told_losses(scores_TB, filled.labels_TB, batch.targets_TB).sum()});
    filled.aux.append(std::move(out.aux));
    add_aux(std::move(filled.aux), batch, result);
    return result;  // rows stand alone: no state
}

ScoredRows ReplacedObjective::score(const Models& models, const DeviceBatch& batch, const State&, Pass pass) const {
    const auto first = pass.entries.find<FirstRow>();
    const Filled filled = fill(models, batch, false, {.first_row = first ? first->number : 0});
    pass.set_flags(batch.flags_TB);
    const Tensor scores_TB = parts_of(models).head(models.main().encode(filled.ids_TB, pass));
    const Tensor told_TB = batch.targets_TB.ge(0), called_TB = scores_TB.gt(0);
    const auto counted = [&](const Tensor& of_TB) { return of_TB.logical_and(told_TB).sum(0).to(at::kDouble); };
    std::vector<Tensor> columns(kColumns);
    columns[kNats] = told_losses(scores_TB, filled.labels_TB, batch.targets_TB).to(at::kDouble).sum(0);
    columns[kTokens] = counted(told_TB);
    columns[kLabelled] = counted(filled.labels_TB);
    columns[kTold] = counted(called_TB);
    columns[kBoth] = counted(called_TB.logical_and(filled.labels_TB));
    return {.sum = columns[kNats].sum(), .state = {}, .outputs_BC = at::stack(columns, 1)};
}

std::vector<Score> ReplacedObjective::judge(const RowOutputs& rows) const {
    std::vector<double> sums(kColumns);
    for (size_t i = 0; i < rows.values.size(); ++i) sums[i % kColumns] += rows.values[i];
    const double tokens = std::max(1.0, sums[kTokens]), both = sums[kBoth];
    const double wrong = sums[kLabelled] + sums[kTold] - 2 * both;
    const double found = sums[kLabelled] + sums[kTold];
    return {{score_kind(), sums[kNats] / std::numbers::ln2 / tokens},
            {{"accuracy", "accuracy", false}, 1 - wrong / tokens},
            {{"f1", "F1", false}, found > 0 ? 2 * both / found : 0}};
}

std::unique_ptr<Objective> make_replaced(const ObjectiveOptions& options, const Config&, const Tokenizer& tokenizer) {
    const auto& values = values_of<ReplacedValues>(options);
    const Masking masking = values.masking(tokenizer);
    return std::make_unique<ReplacedObjective>(values, masking, std::max(masking.vocabulary, masking.mask_id + 1));
}

}  // namespace lithe

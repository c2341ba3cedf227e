#include "lithe/objectives/prefix.h"

#include <algorithm>

#include "lithe/base/rng.h"
#include "lithe/blocks/prefix_reading.h"
#include "lithe/objectives/mixed.h"

namespace lithe {

void PrefixValues::check(const Config& config, Problems& problems) const {
    require_both_readings(config, problems);
    refuse_encoder(config, problems);
    if (!config.model.ngrams.lengths.empty())
        problems.add("n-grams look back alone, and a prefix is read from both sides", "model.ngrams.lengths",
                     "model.ngrams.lengths = \"\"");
    Problems told_elsewhere;
    const LayoutNode layout = parse_layout(config.model.layout);
    if (has_slots(layout)) return;
    // What is carried from a layer that runs a second time takes no gradient (model/recompute.h, model/reversible.h).
    if (has_reversible(layout))
        problems.add("a prefix's keys take gradients, and a reversible run ('~') hands none on", "model.layout",
                     "leave the '~' out");
    if (config.train.recompute != "none")
        problems.add("a prefix's keys take gradients, and recomputed layers hand none on", "train.recompute",
                     "train.recompute = \"none\"");
    const auto blocks = resolve_blocks(layout, config.model, config.blocks, told_elsewhere);
    for (const auto& [name, column] : block_names(layout)) {
        const auto found = blocks.find(name);
        if (found == blocks.end() || !found->second.kind->traits.bidirectional) continue;
        const std::string kind = found->second.kind->name;
        if (kind != "attention" && !found->second.kind->traits.position_wise)
            problems.add("layout, column " + std::to_string(column) + ": block '" + name + "' (" + kind +
                             ") keeps no prefix that was read from both sides",
                         "model.layout", "attention and feed_forward do: (sf)x6");
    }
}

Models PrefixObjective::models(const Config& config, std::shared_ptr<ParameterStore> store) const {
    Models models = TokenObjective::models(config, std::move(store));
    models.main().standing_entries().put(PrefixReading{});
    return models;
}

// The first token that is scored is number `prefix`, which the prefix's last position predicts.
static void set_prefix(Batch& batch, int64_t prefix) {
    for (int64_t place = 0; place < (prefix - 1) * batch.rows; ++place) batch.targets[size_t(place)] = -1;
    batch.labels.classes.assign(size_t(batch.rows), prefix);
    batch.labels.numbers.clear();
}

void PrefixObjective::prepare(Batch& batch, uint64_t key, int64_t) const {
    set_prefix(batch, 1 + int64_t(random_unit(combine_key(key, "prefix"), 0) * double(batch.length)));
    batch.begins = true;
}

// Tokens of the row that has most of them: at a text's end rows are shorter than the batch.
static int64_t longest_row(const Batch& batch) {
    int64_t most = 0;
    for (int64_t row = 0; row < batch.rows; ++row) {
        int64_t tokens = 0;
        while (tokens < batch.length && !batch.is_padding(size_t(tokens * batch.rows + row))) ++tokens;
        most = std::max(most, tokens);
    }
    return most;
}

std::unique_ptr<ScoredBatches> PrefixObjective::scored_batches(const ScoredText& text,
                                                               const EvaluationProtocol& protocol) const {
    return make_stream_batches(
        text, protocol,
        {.carries_state = false, .whole_rows = true, .prepare = [](Batch& batch, const std::vector<ScoredRow>&) {
             set_prefix(batch, std::max<int64_t>(1, longest_row(batch) / 2));
         }});
}

// The prefix, and the rest with the prefix as its memory.
static LanguageModel::Loss read(const LanguageModel& model, const DeviceBatch& batch, const Pass& pass) {
    const int64_t steps = batch.ids_TB.size(0), prefix = batch.labels_B[0].item<int64_t>(), rest = steps - prefix;
    const auto flags = [&](int64_t from, int64_t count) {
        return batch.flags_TB.defined() ? batch.flags_TB.narrow(0, from, count) : Tensor();
    };
    Pass first = pass;
    first.causal = false;
    first.memory = prefix;
    first.keep_projections = true;
    first.keys.rows = combine_key(pass.keys.rows, "prefix");
    first.set_flags(flags(0, prefix));
    LanguageModel::Loss loss = model.loss(batch.ids_TB.narrow(0, 0, prefix), batch.targets_TB.narrow(0, 0, prefix), {},
                                          first, {.density = TargetDensity::few});
    if (rest == 0) return loss;
    Pass second = pass;
    second.memory = 0;
    second.keep_projections = true;
    second.set_flags(flags(prefix, rest));
    // a document may begin inside the prefix, and its positions with it
    second.position_B = positions_of(first, prefix, batch.rows(), batch.ids_TB.device()).select(0, prefix - 1) + 1;
    LanguageModel::Loss more =
        model.loss(batch.ids_TB.narrow(0, prefix, rest), batch.targets_TB.narrow(0, prefix, rest), loss.state, second,
                   {.density = TargetDensity::most});
    loss.sum = loss.sum + more.sum;
    loss.aux.append(std::move(more.aux));
    return loss;
}

LossOutput PrefixObjective::loss(const Models& models, const DeviceBatch& batch, const State&, bool training,
                                 const DrawKeys& keys) const {
    LanguageModel::Loss read_loss = read(models.main(), batch, models.main().pass(training, keys));
    LossOutput result;
    result.terms.push_back({.name = kCrossEntropy, .sum = std::move(read_loss.sum)});
    add_aux(std::move(read_loss.aux), batch, result);
    return result;  // rows stand alone: no state
}

ScoredRows PrefixObjective::score(const Models& models, const DeviceBatch& batch, const State&, Pass pass) const {
    return {.sum = read(models.main(), batch, pass).sum};
}

std::unique_ptr<Objective> make_prefix(const ObjectiveOptions&, const Config&, const Tokenizer& tokenizer) {
    return std::make_unique<PrefixObjective>(tokenizer.vocabulary_size());
}

}  // namespace lithe

#include "lithe/objectives/mixed.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/rng.h"
#include "lithe/spec/config_io.h"

namespace lithe {

void MixedValues::visit(FieldVisitor& v) {
    MaskingValues::visit(v);
    v.field({.name = "masked_share",
             .help = "mixed: share of rows that are masked; the others predict each next token",
             .minimum = 0,
             .maximum = 1},
            masked_share);
}

void require_both_readings(const Config& config, Problems& problems) {
    const std::string name = "objective \"" + config.objective.name + "\"";
    if (config.model.direction != Direction::causal)
        problems.add(
            name + " trains a causal model, and reads some of it from both sides: model.direction = \"causal\"",
            "objective.name");
    if (config.model.memory > 0)
        problems.add("what is read from both sides has no segment before it: model.memory = 0", "model.memory",
                     "a longer train.length is what attention sees");
    const LayoutNode layout = parse_layout(config.model.layout);
    if (has_slots(layout)) return problems.add("a search has one reading", "objective.name");
    ModelConfig both = config.model;
    both.direction = Direction::bidirectional;
    const auto blocks = resolve_blocks(layout, both, config.blocks, problems, "read from both sides, model");
    for (const auto& [block, column] : block_names(layout)) {
        const auto found = blocks.find(block);
        if (found == blocks.end()) continue;
        const auto options = found->second.kind->make_options(both);
        for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { options->visit(v); }))
            if (field.path == "bidirectional")
                problems.add("layout, column " + std::to_string(column) + ": block '" + block + "' (" +
                                 found->second.kind->name + ") has other weights for each direction, and " + name +
                                 " reads both ways with the same",
                             "model.layout", "attention and feed_forward do: (sf)x6");
    }
}

void MixedValues::check(const Config& config, Problems& problems) const {
    require_both_readings(config, problems);
    MaskingValues::check(problems);
    refuse_encoder(config, problems);
}

int64_t MixedObjective::masked_before(int64_t row, uint64_t key) const {
    const double u = random_unit(combine_key(key, "mixed"), 0);
    return int64_t(std::floor(double(row) * share_ + u));
}

void MixedObjective::prepare(Batch& batch, uint64_t key, int64_t first_row) const {
    batch.labels.classes.assign(size_t(batch.rows), 0);
    batch.labels.numbers.clear();
    batch.begins = true;
    for (int64_t row = 0; row < batch.rows; ++row) {
        const int64_t number = first_row + row;
        if (masked_before(number + 1, key) == masked_before(number, key)) continue;
        batch.labels.classes[size_t(row)] = 1;
        const MaskRow text = MaskRow::of(batch, row);
        const auto choices = masking_.choose(text, combine_key(combine_key(key, "masking"), uint64_t(number)));
        for (int64_t t = 0; t < batch.length; ++t) {
            const auto place = size_t(t * batch.rows + row), next = size_t(t) + 1;
            const bool follows = next < choices.size() && choices[next].scored &&
                                 (text.flags.empty() || !(text.flags[next] & kDocumentBegins));
            batch.inputs[place] = choices[size_t(t)].input;
            batch.targets[place] = follows ? text.ids[next] : -1;
        }
    }
}

std::map<std::string, double> MixedObjective::weights(const Batch& batch) const {
    std::map<std::string, double> weights = {{kCrossEntropy, 0}, {kMasked, 0}};
    for (size_t place = 0; place < batch.targets.size(); ++place) {
        // an evaluation's rows are causal, and have no classes
        const bool masked = !batch.labels.empty() && batch.labels.classes[place % size_t(batch.rows)] == 1;
        if (batch.targets[place] >= 0) ++weights[masked ? kMasked : kCrossEntropy];
    }
    return weights;
}

// The rows of one kind draw by their number among those of that kind, however an update is cut.
LossOutput MixedObjective::loss(const Models& models, const DeviceBatch& batch, const State&, bool training,
                                const DrawKeys& keys) const {
    LossOutput result;
    const Tensor classes_B = batch.labels_B.to(at::kCPU);
    for (const bool masked : {false, true}) {
        const Tensor rows = classes_B.eq(int64_t(masked)).nonzero().squeeze(1).to(batch.ids_TB.device());
        if (rows.numel() == 0) continue;
        const int64_t before = masked_before(keys.first_row, keys.update);
        Pass pass = models.main().pass(training, keys);
        pass.causal = !masked;
        pass.keys.first_row = masked ? before : keys.first_row - before;
        pass.keys.rows = combine_key(pass.keys.rows, masked ? kMasked : kCrossEntropy);
        if (batch.flags_TB.defined()) pass.set_flags(batch.flags_TB.index_select(1, rows));
        const LossOptions options{.density = masked ? TargetDensity::few : TargetDensity::most};
        auto out = models.main().loss(batch.ids_TB.index_select(1, rows), batch.targets_TB.index_select(1, rows), {},
                                      pass, options);
        result.terms.push_back({.name = masked ? kMasked : kCrossEntropy,
                                .coefficient = masked ? share_ : 1 - share_,
                                .sum = std::move(out.sum)});
        add_aux(std::move(out.aux), batch, result);
    }
    return result;  // rows stand alone: no state
}

std::unique_ptr<Objective> make_mixed(const ObjectiveOptions& options, const Config&, const Tokenizer& tokenizer) {
    const auto& values = values_of<MixedValues>(options);
    const Masking masking = values.masking(tokenizer);
    return std::make_unique<MixedObjective>(values, masking, std::max(masking.vocabulary, masking.mask_id + 1));
}

}  // namespace lithe

#include "lithe/objectives/masked.h"

#include "lithe/base/rng.h"

namespace lithe {

void require_both_directions(const Config& config, Problems& problems) {
    if (config.model.direction != Direction::bidirectional)
        problems.add(
            "objective \"" + config.objective.name + "\" predicts from both sides: model.direction = \"bidirectional\"",
            "objective.name");
}

void MaskedValues::check(const Config& config, Problems& problems) const {
    require_both_directions(config, problems);
    MaskingValues::check(problems);
    refuse_encoder(config, problems);
}

// A token of the text is masked by its place there; what lies outside of a row's scored places is seen and not scored.
void mask_rows_of_text(const Masking& masking, Batch& batch, const std::vector<ScoredRow>& rows) {
    const uint64_t key = combine_key(0, "evaluation");
    for (int64_t row = 0; row < batch.rows; ++row) {
        const ScoredRow& scored = rows[size_t(row)];
        MaskRow masked = MaskRow::of(batch, row);
        masked.first = scored.first;
        const auto choices = masking.choose(masked, key);
        for (int64_t t = 0; t < batch.length; ++t) {
            const auto place = size_t(t * batch.rows + row);
            const uint64_t in_text = scored.first + uint64_t(t);
            const bool counts = choices[size_t(t)].scored && in_text >= scored.begin && in_text < scored.end;
            batch.targets[place] = counts ? batch.inputs[place] : -1;
            batch.inputs[place] = choices[size_t(t)].input;
        }
    }
}

std::unique_ptr<ScoredBatches> MaskedObjective::scored_batches(const ScoredText& text,
                                                               const EvaluationProtocol& protocol) const {
    return make_stream_batches(text, protocol,
                               {.tokens_before = 0,
                                .carries_state = false,
                                .prepare = [masking = masking_](Batch& batch, const std::vector<ScoredRow>& rows) {
                                    mask_rows_of_text(masking, batch, rows);
                                }});
}

std::unique_ptr<Objective> make_masked(const ObjectiveOptions& options, const Config&, const Tokenizer& tokenizer) {
    const Masking masking = values_of<MaskedValues>(options).masking(tokenizer);
    return std::make_unique<MaskedObjective>(masking, std::max(masking.vocabulary, masking.mask_id + 1));
}

}  // namespace lithe

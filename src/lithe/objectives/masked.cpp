#include "lithe/objectives/masked.h"

#include "lithe/base/error.h"
#include "lithe/base/rng.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

std::optional<int64_t> mask_token_of(const std::string& named, const Tokenizer& tokenizer) {
    if (named != "auto") {
        const auto id = find_token(tokenizer, named);
        if (!id)
            fail_usage("'" + printable(named) + "' is no token of the vocabulary", "objective.mask_token",
                       "auto takes [MASK] or <mask>, or adds an id");
        return id;
    }
    for (const char* text : {"[MASK]", "<mask>"})
        if (auto id = find_token(tokenizer, text)) return id;
    return std::nullopt;
}

}  // namespace

void MaskedValues::visit(FieldVisitor& v) {
    v.field({.name = "mask_rate", .help = "share of tokens to predict", .minimum = 0.001, .maximum = 1}, mask_rate);
    v.field(
        {.name = "mask_share", .help = "of these, how many are replaced by the mask token", .minimum = 0, .maximum = 1},
        mask_share);
    v.field({.name = "random_share",
             .help = "how many by a random token; the rest stay as they are",
             .minimum = 0,
             .maximum = 1},
            random_share);
    v.field({.name = "mask_token",
             .help = "a token of the vocabulary, as [MASK]; auto: the tokenizer's [MASK] or <mask>, else one more id "
                     "than the tokenizer has"},
            mask_token);
}

void MaskedValues::check(const Config& config, Problems& problems) const {
    if (config.model.direction != Direction::bidirectional)
        problems.add("masked tokens are predicted from both sides: model.direction = \"bidirectional\"",
                     "objective.name");
    if (mask_share + random_share > 1)
        problems.add("mask_share and random_share are more than all", "objective.mask_share");
    refuse_encoder(config, problems);
}

Masking::Choice Masking::choose(int64_t id, uint64_t key, uint64_t place) const {
    if (random_unit(combine_key(key, "chosen"), place) >= rate) return {false, id};
    const double kind = random_unit(combine_key(key, "kind"), place);
    if (kind < mask_share) return {true, mask_id};
    if (kind < mask_share + random_share)
        return {true, int64_t(random_unit(combine_key(key, "token"), place) * double(vocabulary))};
    return {true, id};
}

void MaskedObjective::prepare(Batch& batch, uint64_t key, int64_t first_row) const {
    for (int64_t row = 0; row < batch.rows; ++row) {
        const uint64_t row_key = combine_key(combine_key(key, "masking"), uint64_t(first_row + row));
        for (int64_t t = 0; t < batch.length; ++t) {
            const auto place = size_t(t * batch.rows + row);
            batch.targets[place] = -1;
            if (batch.is_padding(place)) continue;
            const Masking::Choice choice = masking_.choose(batch.inputs[place], row_key, uint64_t(t));
            if (choice.scored) batch.targets[place] = batch.inputs[place];
            batch.inputs[place] = choice.input;
        }
    }
}

void MaskedObjective::mask_scored(Batch& batch, const std::vector<ScoredRow>& rows) const {
    const uint64_t key = combine_key(0, "evaluation");
    for (int64_t row = 0; row < batch.rows; ++row) {
        const ScoredRow& scored = rows[size_t(row)];
        for (int64_t t = 0; t < batch.length; ++t) {
            const auto place = size_t(t * batch.rows + row);
            const uint64_t in_text = scored.first + uint64_t(t);
            const Masking::Choice choice = masking_.choose(batch.inputs[place], key, in_text);
            const bool counts = choice.scored && in_text >= scored.begin && in_text < scored.end;
            batch.targets[place] = counts ? batch.inputs[place] : -1;
            batch.inputs[place] = choice.input;
        }
    }
}

std::unique_ptr<ScoredBatches> MaskedObjective::scored_batches(const ScoredText& text,
                                                               const EvaluationProtocol& protocol) const {
    return make_stream_batches(
        text, protocol,
        {.tokens_before = 0,
         .carries_state = false,
         .prepare = [this](Batch& batch, const std::vector<ScoredRow>& rows) { mask_scored(batch, rows); }});
}

std::unique_ptr<Objective> make_masked(const ObjectiveOptions& options, const Config&, const Tokenizer& tokenizer) {
    const auto& values = values_of<MaskedValues>(options);
    const int64_t size = tokenizer.vocabulary_size();
    const int64_t mask_id = mask_token_of(values.mask_token, tokenizer).value_or(size);
    const Masking masking{.rate = values.mask_rate,
                          .mask_share = values.mask_share,
                          .random_share = values.random_share,
                          .mask_id = mask_id,
                          .vocabulary = size};
    return std::make_unique<MaskedObjective>(masking, std::max(size, mask_id + 1));
}

}  // namespace lithe

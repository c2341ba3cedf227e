#include "lithe/model/masking.h"

#include "lithe/base/error.h"
#include "lithe/base/rng.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

// The id of a token with exactly this text.
std::optional<int64_t> find_token(const Tokenizer& tokenizer, const std::string& text) {
    try {
        const std::vector<int64_t> ids = tokenizer.encode(text, SpecialText::parsed);
        if (ids.size() == 1 && tokenizer.decode(ids) == text) return ids[0];
    } catch (const Error&) {
        // a text that the vocabulary cannot express is no token of it
    }
    return std::nullopt;
}

std::optional<int64_t> mask_token_of(const ObjectiveConfig& objective, const Tokenizer& tokenizer) {
    if (objective.mask_token != "auto") {
        const auto id = find_token(tokenizer, objective.mask_token);
        if (!id)
            fail_usage("'" + printable(objective.mask_token) + "' is no token of the vocabulary",
                       "objective.mask_token", "auto takes [MASK] or <mask>, or adds an id");
        return id;
    }
    for (const char* text : {"[MASK]", "<mask>"})
        if (auto id = find_token(tokenizer, text)) return id;
    return std::nullopt;
}

}  // namespace

Masking::Choice Masking::choose(int64_t id, uint64_t key, uint64_t place) const {
    if (random_unit(combine_key(key, "chosen"), place) >= rate) return {false, id};
    const double kind = random_unit(combine_key(key, "kind"), place);
    if (kind < mask_share) return {true, mask_id};
    if (kind < mask_share + random_share)
        return {true, int64_t(random_unit(combine_key(key, "token"), place) * double(vocabulary))};
    return {true, id};
}

std::optional<Masking> masking_of(const Config& config, const Tokenizer& tokenizer) {
    const ObjectiveConfig& objective = config.objective;
    if (objective.name != "masked") return std::nullopt;
    return Masking{.rate = objective.mask_rate,
                   .mask_share = objective.mask_share,
                   .random_share = objective.random_share,
                   .mask_id = mask_token_of(objective, tokenizer).value_or(tokenizer.vocabulary_size()),
                   .vocabulary = tokenizer.vocabulary_size(),
                   .seed = combine_key(uint64_t(config.train.seed), "masking")};
}

int64_t model_vocabulary(const Config& config, const Tokenizer& tokenizer) {
    const auto masking = masking_of(config, tokenizer);
    return tokenizer.vocabulary_size() + (masking && masking->mask_id == tokenizer.vocabulary_size() ? 1 : 0);
}

int64_t checked_vocabulary(const Config& config, const Tokenizer& tokenizer) {
    const int64_t stated = config.model.vocabulary_size, needed = model_vocabulary(config, tokenizer);
    if (stated != 0 && stated != needed)
        fail({.code = ExitCode::usage,
              .what = "model.vocabulary_size does not fit the tokenizer",
              .where = "model.vocabulary_size",
              .expected = std::to_string(needed) + ", or 0 to take the tokenizer's",
              .got = std::to_string(stated),
              .hint = "--set model.vocabulary_size=0, or name the tokenizer's own: data.vocabulary, data.path, "
                      "--tokenizer of lithe import"});
    return needed;
}

}  // namespace lithe

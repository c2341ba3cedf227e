#include "lithe/objectives/masking.h"

#include <algorithm>
#include <cmath>

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

bool is_padding(const MaskRow& row, size_t t) { return !row.flags.empty() && (row.flags[t] & kPadding); }
bool begins_document(const MaskRow& row, size_t t) { return !row.flags.empty() && (row.flags[t] & kDocumentBegins); }

}  // namespace

void MaskingValues::visit(FieldVisitor& v) {
    v.field({.name = "mask_rate", .help = "share of tokens to predict", .minimum = 0.001, .maximum = 1}, mask_rate);
    v.field({.name = "mask_unit",
             .help = "what is taken together: tokens, each by itself; words, whole ones; spans of words, as SpanBERT"},
            mask_unit);
    v.field({.name = "span_end",
             .help = "spans: chance that one is over behind a word; 0.2: 3.8 words in the mean",
             .minimum = 0.01,
             .maximum = 1},
            span_end);
    v.field({.name = "longest_span", .help = "spans: words of one at most", .minimum = 1, .maximum = 1000},
            longest_span);
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

void MaskingValues::check(Problems& problems) const {
    if (mask_share + random_share > 1)
        problems.add("mask_share and random_share are more than all", "objective.mask_share");
    const MaskingValues defaults;
    if (mask_unit != MaskUnit::spans && (span_end != defaults.span_end || longest_span != defaults.longest_span))
        problems.add(
            "lengths of spans are for objective.mask_unit = \"spans\", and it is \"" + name_of(mask_unit) + "\"",
            "objective.span_end, objective.longest_span", "leave both out, or take spans");
}

Masking MaskingValues::masking(const Tokenizer& tokenizer) const {
    const int64_t size = tokenizer.vocabulary_size();
    Masking masking{.rate = mask_rate,
                    .mask_share = mask_share,
                    .random_share = random_share,
                    .mask_id = mask_token_of(mask_token, tokenizer).value_or(size),
                    .vocabulary = size,
                    .unit = mask_unit,
                    .span_end = span_end,
                    .longest_span = longest_span};
    if (mask_unit != MaskUnit::tokens) masking.borders = std::make_shared<const WordBorders>(tokenizer);
    return masking;
}

MaskRow MaskRow::of(const Batch& batch, int64_t row) {
    MaskRow taken;
    for (int64_t t = 0; t < batch.length; ++t) {
        const auto place = size_t(t * batch.rows + row);
        taken.ids.push_back(batch.inputs[place]);
        if (!batch.flags.empty()) taken.flags.push_back(batch.flags[place]);
    }
    return taken;
}

bool Masking::begins(const MaskRow& row, size_t t) const {
    return t == 0 || is_padding(row, t - 1) || begins_document(row, t) || borders->between(row.ids[t - 1], row.ids[t]);
}

std::vector<bool> Masking::chosen_tokens(const MaskRow& row, uint64_t key) const {
    std::vector<bool> chosen(row.ids.size());
    for (size_t t = 0; t < chosen.size(); ++t)
        chosen[t] = !is_padding(row, t) && random_unit(combine_key(key, "chosen"), row.first + t) < rate;
    return chosen;
}

std::vector<bool> Masking::chosen_words(const MaskRow& row, uint64_t key) const {
    std::vector<bool> chosen(row.ids.size());
    bool word = false;
    for (size_t t = 0; t < chosen.size(); ++t) {
        if (begins(row, t)) word = random_unit(combine_key(key, "chosen"), row.first + t) < rate;
        chosen[t] = word && !is_padding(row, t);
    }
    return chosen;
}

// The distribution function of l is (1 - (1 - p)^l) / (1 - (1 - p)^longest).
int64_t Masking::span_length(uint64_t key, uint64_t draw) const {
    const double all = 1 - std::pow(1 - span_end, double(longest_span));
    const double left = 1 - all * random_unit(combine_key(key, "length"), draw);
    return std::clamp<int64_t>(1 + int64_t(std::log(left) / std::log(1 - span_end)), 1, longest_span);
}

std::vector<bool> Masking::chosen_spans(const MaskRow& row, uint64_t key) const {
    std::vector<bool> chosen(row.ids.size());
    std::vector<size_t> text;
    std::vector<uint8_t> word_begins(row.ids.size());
    for (size_t t = 0; t < chosen.size(); ++t) {
        if (!is_padding(row, t)) text.push_back(t);
        word_begins[t] = begins(row, t);
    }
    const auto wanted = size_t(std::ceil(rate * double(text.size()) - 1e-9));
    const uint64_t anchors = combine_key(combine_key(key, "anchor"), row.first);
    const uint64_t lengths = combine_key(key, row.first);
    size_t taken = 0;
    for (uint64_t draw = 0; taken < wanted; ++draw) {
        size_t t = text[size_t(random_unit(anchors, draw) * double(text.size()))];
        if (chosen[t]) continue;
        while (!word_begins[t]) --t;
        int64_t words = span_length(lengths, draw);
        for (const size_t start = t; t < chosen.size() && taken < wanted; ++t) {
            const bool ends = t > start && word_begins[t] && (--words == 0 || begins_document(row, t));
            if (ends || is_padding(row, t)) break;
            taken += !chosen[t];
            chosen[t] = true;
        }
    }
    return chosen;
}

std::vector<Masking::Choice> Masking::choose(const MaskRow& row, uint64_t key) const {
    std::vector<bool> chosen;
    switch (unit) {
        case MaskUnit::tokens: chosen = chosen_tokens(row, key); break;
        case MaskUnit::words: chosen = chosen_words(row, key); break;
        case MaskUnit::spans: chosen = chosen_spans(row, key); break;
    }
    const uint64_t kinds = combine_key(key, "kind"), tokens = combine_key(key, "token");
    std::vector<Choice> choices;
    size_t start = 0;  // of the span
    for (size_t t = 0; t < chosen.size(); ++t) {
        if (t == 0 || !chosen[t - 1] || unit != MaskUnit::spans) start = t;
        Choice choice{chosen[t], row.ids[t]};
        const double kind = chosen[t] ? random_unit(kinds, row.first + start) : 1;
        if (kind < mask_share) choice.input = mask_id;
        else if (kind < mask_share + random_share)
            choice.input = int64_t(random_unit(tokens, row.first + t) * double(vocabulary));
        choices.push_back(choice);
    }
    return choices;
}

void mask_rows(const Masking& masking, Batch& batch, uint64_t key, int64_t first_row) {
    for (int64_t row = 0; row < batch.rows; ++row) {
        const uint64_t row_key = combine_key(combine_key(key, "masking"), uint64_t(first_row + row));
        const auto choices = masking.choose(MaskRow::of(batch, row), row_key);
        for (int64_t t = 0; t < batch.length; ++t) {
            const auto place = size_t(t * batch.rows + row);
            batch.targets[place] = choices[size_t(t)].scored ? batch.inputs[place] : -1;
            batch.inputs[place] = choices[size_t(t)].input;
        }
    }
}

}  // namespace lithe

#include "lithe/objectives/span_corruption.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/rng.h"

namespace lithe {

SpanCorruption::Sizes SpanCorruption::sizes(int64_t tokens) const {
    Sizes sizes{.tokens = tokens};
    const auto rounded = [](double value) { return int64_t(std::nearbyint(value)); };
    sizes.noise = std::clamp<int64_t>(rounded(rate * double(tokens)), 1, tokens - 1);
    const int64_t most = std::min(sizes.noise, tokens - sizes.noise);
    sizes.spans = std::clamp<int64_t>(rounded(double(sizes.noise) / mean_length), 1, most);
    return sizes;
}

int64_t SpanCorruption::tokens_for(int64_t length) const {
    int64_t tokens = 2;
    while (sizes(tokens + 1).input() <= length) ++tokens;
    return tokens;
}

// The cuts are parts - 1 of the places between numbers, each choice alike: a place is taken with the probability that
// is left to it.
std::vector<int64_t> random_composition(int64_t total, int64_t parts, uint64_t key) {
    std::vector<int64_t> composition;
    int64_t since = 1, cuts = parts - 1;
    for (int64_t place = 1; place < total; ++place, ++since) {
        if (random_unit(key, uint64_t(place)) * double(total - place) >= double(cuts)) continue;
        composition.push_back(since);
        since = 0;
        --cuts;
    }
    composition.push_back(since);
    return composition;
}

SpanCorruption::Pair SpanCorruption::apply(const std::vector<int64_t>& tokens, uint64_t key) const {
    const Sizes drawn = sizes(int64_t(tokens.size()));
    const auto kept = random_composition(drawn.tokens - drawn.noise, drawn.spans, combine_key(key, "kept"));
    const auto taken = random_composition(drawn.noise, drawn.spans, combine_key(key, "taken"));
    Pair pair;
    auto at = tokens.begin();
    for (size_t span = 0; span < taken.size(); ++span) {
        const int64_t sentinel = first_sentinel - int64_t(span);
        pair.input.insert(pair.input.end(), at, at + kept[span]);
        at += kept[span];
        pair.input.push_back(sentinel);
        pair.target.push_back(sentinel);
        pair.target.insert(pair.target.end(), at, at + taken[span]);
        at += taken[span];
    }
    pair.input.push_back(end);
    pair.target.push_back(end);
    return pair;
}

}  // namespace lithe

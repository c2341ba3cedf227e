// Which spans of a text are taken out, and what is left and asked for (Raffel et al. 2020, section 3.1.4; drawn as T5's
// public code draws them):
//
//   n tokens, noise = round(rate n) of them in max(1, round(noise / mean)) spans. Kept and taken parts alternate, kept
//   first; how each kind is cut into so many positive parts is equally likely for all ways to cut it.
//   input:  kept parts, a sentinel for each span, the end
//   target: each span behind its sentinel, the end
//
// Halves are rounded to even numbers.
#pragma once

#include <cstdint>
#include <vector>

namespace lithe {

struct SpanCorruption {
    double rate = 0.15;
    double mean_length = 3;
    int64_t end = 0;             // the token behind both sides
    int64_t first_sentinel = 0;  // later ones have falling ids

    struct Sizes {
        int64_t tokens = 0, noise = 0, spans = 0;
        int64_t input() const { return tokens - noise + spans + 1; }
        int64_t target() const { return noise + spans + 1; }
    };
    // Of a text of `tokens` >= 2.
    Sizes sizes(int64_t tokens) const;
    // The most tokens whose input is no longer than `length` >= 3.
    int64_t tokens_for(int64_t length) const;

    struct Pair {
        std::vector<int64_t> input, target;
    };
    // Of a text of at least 2 tokens; equal keys draw equally.
    Pair apply(const std::vector<int64_t>& tokens, uint64_t key) const;
};

// `total` as a sum of `parts` positive numbers, in an order; every such sum is equally likely.
std::vector<int64_t> random_composition(int64_t total, int64_t parts, uint64_t key);

}  // namespace lithe

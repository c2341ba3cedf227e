// BLEU of a translated text (Papineni et al. 2002) as sacreBLEU computes it (Post 2018; version 2.6.0, its defaults but
// for the tokens): one reference a segment, n-grams up to 4, no effective order.
//
//   p_n = clipped matches / n-grams of the hypotheses; where there is no match, 1 / (2^k n-grams) at the k-th such n
//   BP  = 1, or exp(1 - r / c) where the hypotheses' c tokens are fewer than the references' r
//   BLEU = 100 BP exp(1/4 sum_n log p_n)
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lithe/base/choice.h"

namespace lithe {

inline constexpr int kBleuOrder = 4;

// How a segment is cut into tokens: at white space as it stands (of texts that are tokenized), or by mteval's rules.
enum class BleuTokens { t13a, none };
constexpr auto names_of(BleuTokens) {
    using enum BleuTokens;
    return std::to_array<Named<BleuTokens>>({{t13a, "13a"}, {none, "none"}});
}

struct Bleu {
    double score = 0;                             // 0 to 100
    std::array<double, kBleuOrder> precisions{};  // in percent
    double brevity_penalty = 1;
    int64_t hypothesis_tokens = 0, reference_tokens = 0;
};

// Throws `failed` where the lists differ in length.
Bleu corpus_bleu(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references,
                 BleuTokens tokens);
// "nrefs:1|case:mixed|eff:no|tok:none|smooth:exp|version:2.6.0", of what this equals.
std::string bleu_signature(BleuTokens tokens);

// The tokens of mteval-v13a, joined by spaces.
std::string tokenize_13a(std::string_view line);

}  // namespace lithe

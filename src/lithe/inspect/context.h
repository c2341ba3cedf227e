// How far back a model uses its text.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "lithe/data/token_view.h"
#include "lithe/model/language_model.h"
#include "lithe/report/inspection.h"

namespace lithe {

struct ContextOptions {
    int64_t longest = 256;    // tokens
    int64_t step = 32;        // between lengths of context that are compared
    int64_t positions = 256;  // that are predicted, evenly spread over the text
    std::stop_token stop = {};
    std::function<void(double)> progress = {};
};

// By how much the loss of a token changes, in nats and without its sign, when another token stands d places before the
// one that it is predicted from: element d, from 0 up to longest / 2. The other token is one that stands elsewhere in
// the text. Causal models that predict the next token. Throws bad_file for a text that is too short, stopped.
std::vector<double> changes_by_distance(const LanguageModel& model, const TokenView& text,
                                        const ContextOptions& options);

// Losses in nats of the same tokens, each predicted from the last c tokens before it alone.
struct ContextLosses {
    std::vector<int64_t> contexts;            // c: step, 2 step, ..., longest
    std::vector<std::vector<double>> losses;  // [contexts][positions]
};
ContextLosses losses_by_context(const LanguageModel& model, const TokenView& text, const ContextOptions& options);

// The relative effective context length of each model of a group (Dai et al. 2019, "Transformer-XL", appendix C): the
// context from which one step more gains less than 1 % of perplexity,
//
//   b(c, t) = min over models of l_m(c, t)
//   f_m(c, c') = mean over T of min(b(c, t), l_m(c', t))         T: the share `hardest` of positions with largest b(c,
//   t) gain = (exp f_m(c, c) - exp f_m(c, c')) / exp f_m(c, c),  c' = c + step
//
// `reached` false: the gain is 1 % and more up to the longest context that was measured.
std::vector<EffectiveContext> effective_contexts(const std::vector<ContextLosses>& group, double hardest);

}  // namespace lithe

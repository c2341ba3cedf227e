// Expected quality of a plan, from the fitted table of measured runs (plan/fitted.h, made by bench/fit_planner.py; what
// was fitted and how well it holds: docs/lab/planner.md).
//
//   bits = (E h^g + (s A N^-a + B D^-b) h^q) (1 + k log2(R / rows)) (1 + c max(0, D / U - 1))
//
// N: numbers in matrices; D: tokens trained on, U: of the text, which is learned by heart when it is read again and
// again, a short one less (its n-grams are short), but more by a large model; rows: of the n-gram tables, R the
// largest; h: how hard the text is, what PPMd makes of it beside what it makes of the reference; s: 1, or more for a
// short text, whose short n-grams leave more to the matrices.
#pragma once

#include "lithe/plan/corpus_look.h"
#include "lithe/plan/shapes.h"

namespace lithe {

struct Prediction {
    double bits = 0, low = 0, high = 0;  // per byte of the validation split; the interval holds 9 runs of 10
};

Prediction predict(const PlanShape& shape, double tokens, const CorpusLook& corpus);

// Streams per update and rows of n-gram tables for a training on this many tokens. The longer it is, the larger batches
// are worth their fewer updates, and the more n-grams are told apart.
int64_t planned_batch(double tokens);
int64_t planned_rows(double tokens);

// Tokens to train on, `most` or fewer: those after which reading the text again makes the prediction worse.
double worthwhile_tokens(const PlanShape& shape, double most, const CorpusLook& corpus);

constexpr double kShortText = 4e6;  // tokens
// What a text of this many tokens needs otherwise than the recipe. Of a short one long n-grams occur once and are
// learned by heart; it is read several times, for which its runs in the table have a cosine and more weight decay.
std::vector<std::string> text_settings(double tokens);

}  // namespace lithe

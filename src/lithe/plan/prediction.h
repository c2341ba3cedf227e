// Expected quality of a plan, from the fitted table of measured runs (plan/fitted.h, made by bench/fit_planner.py; what
// was fitted and how well it holds: docs/planner.md).
//
//   bits = (E + A N^-a + B D^-b) (1 + k log2(R / rows)) (p / p0)^g
//
// N: numbers in matrices; D: tokens trained on, repeats counted for less (Muennighoff et al. 2023, section 4, with r
// for their R*); rows: of the n-gram tables, R the largest; p: what xz makes of the text, in bits per byte.
#pragma once

#include "lithe/plan/corpus_look.h"
#include "lithe/plan/shapes.h"

namespace lithe {

struct Prediction {
    double bits = 0, low = 0, high = 0;  // per byte of the validation split; the interval holds 9 runs of 10
};

// What D tokens drawn from `unique` are worth.
double effective_tokens(double tokens, double unique);

Prediction predict(const PlanShape& shape, double tokens, const CorpusLook& corpus);

// For this many passes over the text. Up to four none measured best; beyond that a rule of thumb.
double planned_dropout(double epochs);

// Longest n-gram that is looked up: in a short text long ones occur once and are learned by heart.
int64_t planned_ngrams(double tokens);

}  // namespace lithe

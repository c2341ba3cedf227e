// Beam search as fairseq does it (fairseq/sequence_generator.py; Ott et al. 2019), sentence by sentence the same
// whatever is searched beside it:
//
//   each step takes the 2 beam best of all continuations of a sentence's hypotheses (the first step: of one); an end
//   token counts only among the first `beam` of them; a finished score is sum log p / length^penalty, the end token
//   being part of the length; a sentence is done when `beam` hypotheses are finished. Ties: the lower index.
#pragma once

#include <optional>
#include <stop_token>

#include "lithe/infer/session.h"

namespace lithe {

struct BeamOptions {
    int64_t beam = 5;
    int64_t end = 0;            // the token that ends a hypothesis
    double length_penalty = 1;  // 0: no division, which prefers short ones
    int64_t least_tokens = 0;   // of a hypothesis, without the end token; fairseq's default is 1
    // Without the end token, at most: per_source x (tokens of the source or prompt) + most_tokens; and what the model
    // has absolute positions for.
    double per_source = 0;
    int64_t most_tokens = 200;
    double unknown_penalty = 0;  // taken off log p of `unknown`
    std::optional<int64_t> unknown;
    int64_t no_repeat_ngram = 0;  // no n-gram of this length stands twice in a hypothesis; 0: none is banned
    std::vector<int64_t> banned;  // tokens that never come: padding and the like
    std::stop_token stop = {};    // asked between steps
};

struct BeamHypothesis {
    std::vector<int64_t> tokens;  // without the end token
    std::vector<double> log_p;    // of each, and of the end token
    double score = 0;
    bool cut = false;  // by the limit of tokens: the end token was the only one that could come
};

// The score of a finished hypothesis of so many tokens, the end token being one of them.
double length_normalized(double sum_log_p, int64_t tokens, double penalty);

// The finished hypotheses of each prompt, the best first, at most `beam`. `source`: a row for each prompt, where the
// model reads one; `source_lengths`: its tokens, for the limit; empty: the prompts'. The session must be empty and hold
// prompts x beam rows. A stop leaves sentences that are not done without hypotheses.
std::vector<std::vector<BeamHypothesis>> beam_search(Session& session, const std::vector<std::vector<int64_t>>& prompts,
                                                     const BeamOptions& options, const Bag& source = {},
                                                     const std::vector<int64_t>& source_lengths = {});

}  // namespace lithe

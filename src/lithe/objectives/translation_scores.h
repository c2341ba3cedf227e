// Scores of translations, each with what its computation equals.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lithe/base/score.h"

namespace lithe {

struct SignedScore {
    Score score;
    std::string signature;
};

// BLEU and chrF. `bleu_tokens`: "13a" or "none", as in [objective]. Throws `failed` where the lists differ in length.
std::vector<SignedScore> translation_scores(const std::vector<std::string>& written,
                                            const std::vector<std::string>& references, const std::string& bleu_tokens);
// A list of scores (base/score.h), each with its "signature".
nlohmann::ordered_json to_json(const std::vector<SignedScore>& scores);

}  // namespace lithe

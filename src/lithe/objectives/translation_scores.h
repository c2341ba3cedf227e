// Scores of translations, each with what its computation equals.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lithe/base/score.h"
#include "lithe/score/bleu.h"

namespace lithe {

struct SignedScore {
    Score score;
    std::string signature;
};

// BLEU and chrF. Throws `failed` where the lists differ in length.
std::vector<SignedScore> translation_scores(const std::vector<std::string>& written,
                                            const std::vector<std::string>& references, BleuTokens tokens);
// A list of scores (base/score.h), each with its "signature".
nlohmann::ordered_json to_json(const std::vector<SignedScore>& scores);

}  // namespace lithe

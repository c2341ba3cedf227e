#include "lithe/objectives/translation_scores.h"

#include "lithe/score/chrf.h"

namespace lithe {

std::vector<SignedScore> translation_scores(const std::vector<std::string>& written,
                                            const std::vector<std::string>& references, BleuTokens tokens) {
    return {{{{"bleu", "BLEU", false}, corpus_bleu(written, references, tokens).score}, bleu_signature(tokens)},
            {{{"chrf", "chrF", false}, corpus_chrf(written, references)}, chrf_signature()}};
}

nlohmann::ordered_json to_json(const std::vector<SignedScore>& scores) {
    auto list = nlohmann::ordered_json::array();
    for (const SignedScore& each : scores) {
        list.push_back(to_json(each.score));
        list.back()["signature"] = each.signature;
    }
    return list;
}

}  // namespace lithe

#include "lithe/score/chrf.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

#include "lithe/base/error.h"
#include "lithe/score/unicode_space.h"

namespace lithe {
namespace {

constexpr size_t kOrder = 6;
constexpr double kBeta = 2;

// The code points of a text without its white space.
std::vector<std::string> characters_of(const std::string& text) {
    std::vector<std::string> characters;
    for (const std::string_view word : words_of(text))
        for (const char byte : word) {
            const bool continues = (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
            if (continues && !characters.empty()) characters.back() += byte;
            else characters.emplace_back(1, byte);
        }
    return characters;
}

std::map<std::string, int64_t> count_ngrams(const std::vector<std::string>& characters, size_t order) {
    std::map<std::string, int64_t> counts;
    for (size_t begin = 0; begin + order <= characters.size(); ++begin) {
        std::string ngram;
        for (size_t i = 0; i < order; ++i) ngram += characters[begin + i];
        ++counts[ngram];
    }
    return counts;
}

struct Totals {
    int64_t of_hypotheses = 0, of_references = 0, matches = 0;
    void add(const std::map<std::string, int64_t>& hypothesis, const std::map<std::string, int64_t>& reference) {
        for (const auto& [ngram, count] : hypothesis) {
            if (!reference.empty()) of_hypotheses += count;
            const auto found = reference.find(ngram);
            if (found != reference.end()) matches += std::min(count, found->second);
        }
        for (const auto& [ngram, count] : reference) of_references += count;
    }
};

}  // namespace

double corpus_chrf(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references) {
    if (hypotheses.size() != references.size())
        fail({.what = "chrF: " + std::to_string(hypotheses.size()) + " hypotheses for " +
                      std::to_string(references.size()) + " references"});
    std::array<Totals, kOrder> totals;
    for (size_t i = 0; i < hypotheses.size(); ++i) {
        const auto hypothesis = characters_of(hypotheses[i]), reference = characters_of(references[i]);
        for (size_t n = 0; n < kOrder; ++n)
            totals[n].add(count_ngrams(hypothesis, n + 1), count_ngrams(reference, n + 1));
    }
    double precision = 0, recall = 0;
    int orders = 0;
    for (const Totals& each : totals) {
        if (each.of_hypotheses == 0 || each.of_references == 0) continue;
        precision += double(each.matches) / double(each.of_hypotheses);
        recall += double(each.matches) / double(each.of_references);
        ++orders;
    }
    if (precision + recall == 0) return 0;
    precision /= orders;
    recall /= orders;
    const double factor = kBeta * kBeta;
    return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

std::string chrf_signature() { return "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"; }

}  // namespace lithe

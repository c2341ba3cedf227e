// When a position leaves a stack early, by what the head says behind a layer.
//
//   confidence:P   its largest probability is at least P
//   entropy:H      the entropy of its probabilities, in nats, is at most H (Xin et al. 2020, "DeeBERT")
//   patience:K     its likeliest token has stayed the same K times in a row (Zhou et al. 2020, "BERT loses patience")
#pragma once

#include <cstdint>
#include <string>

#include "lithe/base/choice.h"

namespace lithe {

enum class ExitMeasure { confidence, entropy, patience };
constexpr auto names_of(ExitMeasure) {
    using enum ExitMeasure;
    return std::to_array<Named<ExitMeasure>>(
        {{confidence, "confidence"}, {entropy, "entropy"}, {patience, "patience"}});
}

struct ExitRule {
    ExitMeasure measure = ExitMeasure::confidence;
    double threshold = 1;
    bool operator==(const ExitRule&) const = default;
};

// "confidence:0.9". `where`: what gave the text. Throws usage.
ExitRule parse_exit_rule(const std::string& text, const std::string& where);
// "confidence". Throws usage.
ExitMeasure parse_exit_measure(const std::string& text, const std::string& where);
std::string to_string(const ExitRule& rule);

}  // namespace lithe

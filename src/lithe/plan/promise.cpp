#include "lithe/plan/promise.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "lithe/base/json.h"
#include "lithe/plan/on_the_way.h"

namespace lithe {

std::optional<Promise> promise_of(const nlohmann::json& plan) {
    try {
        if (!plan.is_object() || !plan.contains("expected")) return std::nullopt;
        const auto &chosen = plan.at("chosen"), &corpus = plan.at("corpus"), &expected = plan.at("expected");
        Promise promise;
        promise.shape = {whole(chosen.at("width")), whole(chosen.at("layers")), whole(chosen.at("ngram_rows")),
                         whole(chosen.at("batch"))};
        promise.corpus.tokens = corpus.at("tokens");
        promise.corpus.packed_bits = corpus.at("packed_bits_per_byte");
        promise.tokens = plan.at("tokens");
        promise.expected = {expected.at("bits_per_byte"), expected.at("low"), expected.at("high")};
        if (expected.contains("first_bytes")) promise.first_bytes = whole(expected["first_bytes"]);
        const bool complete = promise.tokens > 0 && promise.corpus.tokens > 0 && promise.corpus.packed_bits > 0 &&
                              promise.shape.ngram_rows > 0 && promise.shape.width > 0 && promise.shape.layers > 0;
        return complete ? std::optional(promise) : std::nullopt;
    } catch (const nlohmann::json::exception&) { return std::nullopt; }
}

Prediction corrected(const Promise& promise, double tokens, double all, double bits) {
    const double share = std::clamp(tokens / all, 0.01, 1.0);
    // what the table says of trainings that end here and there, and what a rate that has not fallen yet costs here
    const double rest =
        predict(promise.shape, all, promise.corpus).bits / predict(promise.shape, share * all, promise.corpus).bits;
    const double end = bits * rest / (1 + on_the_way::kHighRate * (1 - share));
    const double factor = std::exp(1.645 * on_the_way::kSpread * std::sqrt(1 - share));
    return {end, end / factor, end * factor};
}

std::string prediction_text(const Prediction& prediction) {
    char text[120];
    std::snprintf(text, sizeof text, "%.3f bits per byte (%.3f to %.3f in 9 of 10)", prediction.bits, prediction.low,
                  prediction.high);
    return text;
}

}  // namespace lithe

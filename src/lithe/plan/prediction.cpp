#include "lithe/plan/prediction.h"

#include <algorithm>
#include <cmath>

#include "lithe/plan/fitted.h"

namespace lithe {

namespace {

// Of a quarter of the sample PPMd makes 5.4 % more bits per byte (3 to 11 % on the seven long texts of the table): a
// shorter text is not harder for that.
constexpr double kSamplePower = 0.038;

// What PPMd makes of a text beside what it makes of the reference.
double hardness(const CorpusLook& corpus) {
    const double filled = std::min(1.0, double(corpus.tokens) / double(kMostSample));
    return corpus.packed_bits * std::pow(filled, kSamplePower) / fitted::kReferencePackedBits;
}

}  // namespace

Prediction predict(const PlanShape& shape, double tokens, const CorpusLook& corpus) {
    using namespace fitted;
    const double hard = hardness(corpus);
    const bool is_short = double(corpus.tokens) < kShortText;
    const double size_factor = kSizeFactor * (is_short ? kShortFactor : 1);
    const double learned =
        size_factor * std::pow(shape.matrix_parameters(), -kSizePower) + kDataFactor * std::pow(tokens, -kDataPower);
    const double rows = 1 + kRowsLoss * std::log2(double(kMostNgramRows) / double(shape.ngram_rows));
    const double repeat_loss =
        is_short ? kRepeatLoss * std::pow(shape.matrix_parameters() / 1e6, kRepeatPower) : kLongRepeatLoss;
    const double again = 1 + repeat_loss * std::max(0.0, tokens / double(corpus.tokens) - 1);
    const double bits =
        (kFloor * std::pow(hard, kDifficultyPower) + learned * std::pow(hard, kLearnedPower)) * rows * again;
    const double factor = std::exp(1.645 * kSpread);
    return {bits, bits / factor, bits * factor};
}

int64_t planned_batch(double tokens) { return tokens < 5e6 ? 16 : tokens < 30e6 ? 32 : 64; }

int64_t planned_rows(double tokens) { return tokens < 20e6 ? 131072 : kMostNgramRows; }

double worthwhile_tokens(const PlanShape& shape, double most, const CorpusLook& corpus) {
    // the prediction falls, then rises: the interval that holds its lowest point shrinks by a third each time
    double low = std::min(most, double(corpus.tokens)), high = most;
    while (high > 1.001 * low) {
        const double third = std::cbrt(high / low), left = low * third, right = high / third;
        if (predict(shape, left, corpus).bits < predict(shape, right, corpus).bits) high = right;
        else low = left;
    }
    return low > 0.95 * most ? most : low;
}

std::vector<std::string> text_settings(double tokens) {
    if (tokens >= kShortText) return {};
    return {"model.ngrams.lengths=2-3", "schedule.name=cosine", "schedule.warmup=0.02", "optimizer.weight_decay=0.1"};
}

}  // namespace lithe

#include "lithe/report/search_rank.h"

#include <algorithm>
#include <array>

#include "lithe/report/numbers.h"

namespace lithe {
namespace {

std::string ordinal(size_t number) {
    constexpr std::array kWords = {"first", "second",  "third",  "fourth", "fifth",
                                   "sixth", "seventh", "eighth", "ninth",  "tenth"};
    return number <= kWords.size() ? kWords[number - 1] : "number " + std::to_string(number);
}

std::string cardinal(size_t number) {
    constexpr std::array kWords = {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"};
    return number <= kWords.size() ? kWords[number - 1] : std::to_string(number);
}

// " at 4.5 times the cost"; "" where costs are equal (within 5 %) or not known.
std::string cost_beside(const TrainedLayout& rival, const TrainedLayout& result) {
    if (rival.cost <= 0 || result.cost <= 0) return "";
    const double times = rival.cost / result.cost;
    return times > 0.95 && times < 1.05 ? "" : " at " + three_digits(times) + " times the cost";
}

}  // namespace

std::optional<SearchRank> rank_of_result(const std::vector<TrainedLayout>& layouts, const ScoreKind& kind) {
    if (layouts.size() < 2) return std::nullopt;
    const TrainedLayout& result = layouts[0];
    const auto better = std::count_if(layouts.begin() + 1, layouts.end(), [&](const TrainedLayout& other) {
        return kind.better(other.score, result.score);
    });
    const TrainedLayout& rival = *std::min_element(
        layouts.begin() + 1, layouts.end(),
        [&](const TrainedLayout& a, const TrainedLayout& b) { return kind.better(a.score, b.score); });
    SearchRank rank{size_t(better) + 1, layouts.size(), ""};
    const std::string named =
        rival.origin + " " + rival.layout + " with " + fixed_digits(rival.score, 4) + cost_beside(rival, result);
    rank.sentence = std::string("The result is ") + (better > 0 ? "only " : "") + ordinal(rank.place) + " of " +
                    cardinal(rank.of) + " layouts trained equally long, with " + fixed_digits(result.score, 4) + " " +
                    kind.unit + "; " + (better > 0 ? "the best is " : "the next is ") + named +
                    ". Each was trained with one seed.";
    return rank;
}

}  // namespace lithe

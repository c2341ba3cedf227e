#include "lithe/search/evolution.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/rng.h"

namespace lithe {

constexpr int kDraws = 2000;  // for a layout that is new and allowed

TrialSource::TrialSource(const SearchConfig& config, std::vector<int64_t> sizes, uint64_t seed,
                         std::function<bool(const std::vector<int64_t>&)> allowed)
    : config_(config),
      sizes_(std::move(sizes)),
      seed_(combine_key(seed, "trials")),
      allowed_(std::move(allowed)),
      rungs_(config.method == SearchMethod::evolution ? size_t(config.rungs) : 1),
      hurdles_(rungs_.size()) {}

double TrialSource::uniform() { return random_unit(seed_, drawn_++); }

int64_t TrialSource::tokens(int64_t rung) const {
    const double factor = std::pow(config_.eta, double(int64_t(rungs_.size()) - 1 - rung));
    return std::max<int64_t>(1, std::llround(double(config_.trial_tokens) / factor));
}

std::vector<int64_t> TrialSource::random_layout() {
    std::vector<int64_t> choices;
    for (int64_t size : sizes_) choices.push_back(below(size));
    return choices;
}

size_t TrialSource::oldest() const {
    const size_t all = rungs_[0].size();
    return all - std::min(all, size_t(config_.population));
}

double TrialSource::fitness(const Result& result) const {
    if (config_.promotion == Promotion::halving) return result.loss;
    for (size_t rung = rungs_.size(); rung-- > 1;)
        for (const Result& longer : rungs_[rung])
            if (longer.choices == result.choices) return longer.loss;
    return result.loss;
}

// The best of a tournament among the youngest, with one place changed.
std::vector<int64_t> TrialSource::child() {
    const std::vector<Result>& all = rungs_[0];
    const auto first = int64_t(oldest()), alive = int64_t(all.size()) - first;
    const Result* parent = nullptr;
    for (int64_t i = 0; i < config_.tournament; ++i) {
        const Result& drawn = all[size_t(first + below(alive))];
        if (!parent || fitness(drawn) < fitness(*parent)) parent = &drawn;
    }
    std::vector<int64_t> choices = parent->choices;
    const auto place = size_t(below(int64_t(choices.size())));
    choices[place] = (choices[place] + 1 + below(sizes_[place] - 1)) % sizes_[place];
    return choices;
}

std::optional<TrialRequest> TrialSource::promotion() {
    return config_.promotion == Promotion::hurdles ? next_over_hurdle() : best_not_promoted();
}

// The best of a rung's upper share that was not promoted yet, from the top down.
std::optional<TrialRequest> TrialSource::best_not_promoted() {
    for (size_t rung = rungs_.size() - 1; rung-- > 0;) {
        std::vector<Result*> order;
        for (Result& result : rungs_[rung]) order.push_back(&result);
        std::stable_sort(order.begin(), order.end(),
                         [](const Result* a, const Result* b) { return a->loss < b->loss; });
        const auto upper = size_t(double(order.size()) / config_.eta);
        for (size_t i = 0; i < upper; ++i) {
            if (order[i]->promoted) continue;
            order[i]->promoted = true;
            return TrialRequest{order[i]->choices, int64_t(rung) + 1};
        }
    }
    return std::nullopt;
}

std::optional<TrialRequest> TrialSource::next_over_hurdle() {
    for (size_t rung = rungs_.size() - 1; rung-- > 0;)
        for (Result& result : rungs_[rung]) {
            if (!result.passed || result.promoted) continue;
            result.promoted = true;
            return TrialRequest{result.choices, int64_t(rung) + 1};
        }
    return std::nullopt;
}

void TrialSource::consider_hurdle(size_t rung) {
    const std::vector<Result>& all = rungs_[rung];
    const int64_t after = config_.hurdle_after > 0 ? config_.hurdle_after : config_.population;
    if (hurdles_[rung] || int64_t(all.size()) < after) return;
    double sum = 0, count = 0;
    for (size_t i = rung == 0 ? oldest() : 0; i < all.size(); ++i) {
        if (!std::isfinite(all[i].loss)) continue;
        sum += all[i].loss;
        ++count;
    }
    if (count > 0) hurdles_[rung] = sum / count;
}

std::optional<TrialRequest> TrialSource::ask() {
    if (auto promoted = promotion()) return promoted;
    const bool bred = config_.method == SearchMethod::evolution && int64_t(rungs_[0].size()) >= config_.population;
    for (int i = 0; i < kDraws; ++i) {
        std::vector<int64_t> choices = bred ? child() : random_layout();
        if (!allowed_(choices) || !seen_.insert(choices).second) continue;
        return TrialRequest{std::move(choices), 0};
    }
    return std::nullopt;
}

void TrialSource::tell(const TrialRequest& request, double loss) {
    const auto rung = size_t(request.rung);
    const std::optional<double> hurdle = hurdles_.at(rung);
    rungs_.at(rung).push_back({request.choices, loss, false, hurdle && loss < *hurdle});
    if (config_.promotion == Promotion::hurdles) consider_hurdle(rung);
}

std::optional<TrialRequest> TrialSource::best() const {
    for (size_t rung = rungs_.size(); rung-- > 0;) {
        if (rungs_[rung].empty()) continue;
        const Result& best = *std::min_element(rungs_[rung].begin(), rungs_[rung].end(),
                                               [](const Result& a, const Result& b) { return a.loss < b.loss; });
        return TrialRequest{best.choices, int64_t(rung)};
    }
    return std::nullopt;
}

}  // namespace lithe

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
      rungs_(config.method == SearchMethod::evolution ? size_t(config.rungs) : 1) {}

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

// The best of a tournament among the youngest, with one place changed.
std::vector<int64_t> TrialSource::child() {
    const std::vector<Result>& all = rungs_[0];
    const int64_t alive = std::min<int64_t>(config_.population, int64_t(all.size())),
                  oldest = int64_t(all.size()) - alive;
    const Result* parent = nullptr;
    for (int64_t i = 0; i < config_.tournament; ++i) {
        const Result& drawn = all[size_t(oldest + below(alive))];
        if (!parent || drawn.loss < parent->loss) parent = &drawn;
    }
    std::vector<int64_t> choices = parent->choices;
    const auto place = size_t(below(int64_t(choices.size())));
    choices[place] = (choices[place] + 1 + below(sizes_[place] - 1)) % sizes_[place];
    return choices;
}

// The best of a rung's upper share that was not promoted yet, from the top down.
std::optional<TrialRequest> TrialSource::promotion() {
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
    rungs_.at(size_t(request.rung)).push_back({request.choices, loss, false});
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

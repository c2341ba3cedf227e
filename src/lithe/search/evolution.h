// Random search, and regularised evolution (Real et al. 2019: the oldest dies, parents by tournament) whose trials go
// through rungs. Promoted as results come are the best of each rung (successive halving, ASHA: Li et al. 2020), or what
// beats a rung's hurdle (progressive dynamic hurdles: So et al. 2019, "The Evolved Transformer", section 3.2). Asks for
// trials and is told their results; everything drawn is a function of the seed and of what was told before, so that a
// journal replays it.
//
// A rung's hurdle is set once, when so many results of it are there: the mean loss of the population on the first rung,
// of all results on a later one. What comes before it stays where it is.
#pragma once

#include <functional>
#include <optional>
#include <set>

#include "lithe/spec/config.h"

namespace lithe {

struct TrialRequest {
    std::vector<int64_t> choices;
    int64_t rung = 0;  // the last is a full trial
};

class TrialSource {
 public:
    // `sizes`: candidates per place. `allowed`: within the budget.
    TrialSource(const SearchConfig& config, std::vector<int64_t> sizes, uint64_t seed,
                std::function<bool(const std::vector<int64_t>&)> allowed);
    // nullopt: no new layout could be found.
    std::optional<TrialRequest> ask();
    // Of less loss is the better (ScoreKind::as_loss).
    void tell(const TrialRequest& request, double loss);
    // Of the highest rung that was reached; nullopt before the first result.
    std::optional<TrialRequest> best() const;
    // Tokens of a trial on a rung.
    int64_t tokens(int64_t rung) const;

 private:
    struct Result {
        std::vector<int64_t> choices;
        double loss = 0;
        bool promoted = false;
        bool passed = false;  // the hurdle of its rung
    };
    std::vector<int64_t> random_layout();
    std::vector<int64_t> child();
    std::optional<TrialRequest> promotion();
    std::optional<TrialRequest> best_not_promoted();
    std::optional<TrialRequest> next_over_hurdle();
    // The first of the results that are alive.
    size_t oldest() const;
    void consider_hurdle(size_t rung);
    // By which parents are chosen: with hurdles what a layout's longest training gave.
    double fitness(const Result& result) const;
    double uniform();
    int64_t below(int64_t count) { return int64_t(uniform() * double(count)); }

    SearchConfig config_;
    std::vector<int64_t> sizes_;
    uint64_t seed_, drawn_ = 0;
    std::function<bool(const std::vector<int64_t>&)> allowed_;
    std::vector<std::vector<Result>> rungs_;      // in the order of their results
    std::vector<std::optional<double>> hurdles_;  // by rung, a loss
    std::set<std::vector<int64_t>> seen_;
};

}  // namespace lithe

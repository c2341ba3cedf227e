// Random search, and regularised evolution (Real et al. 2019: the oldest dies, parents by tournament) whose trials go
// through rungs of successive halving, promoted as results come (ASHA: Li et al. 2020). Asks for trials and is told
// their results; everything drawn is a function of the seed and of what was told before, so that a journal replays it.
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
    };
    std::vector<int64_t> random_layout();
    std::vector<int64_t> child();
    std::optional<TrialRequest> promotion();
    double uniform();
    int64_t below(int64_t count) { return int64_t(uniform() * double(count)); }

    SearchConfig config_;
    std::vector<int64_t> sizes_;
    uint64_t seed_, drawn_ = 0;
    std::function<bool(const std::vector<int64_t>&)> allowed_;
    std::vector<std::vector<Result>> rungs_;  // in the order of their results
    std::set<std::vector<int64_t>> seen_;
};

}  // namespace lithe

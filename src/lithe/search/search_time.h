// The time that a search may take in all (train.max_seconds), over all its starts: training, evaluating and measuring.
// What earlier starts took stands in time.json; after a kill at least what the runs in the folder say of their
// training.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "lithe/base/timer.h"

namespace lithe {

class SearchTime {
 public:
    // `limit` in seconds; 0: none.
    SearchTime(std::string folder, double limit);
    ~SearchTime() { keep(); }
    SearchTime(const SearchTime&) = delete;
    SearchTime& operator=(const SearchTime&) = delete;

    double used() const { return earlier_ + timer_.seconds(); }
    // For more training, with what the longest evaluation so far took kept for the one at its end; INFINITY without a
    // limit.
    double left() const;
    void note_evaluation(double seconds) { evaluation_ = std::max(evaluation_, seconds); }

    // Training time of the network with all candidates, 0 for no limit of its own: half of all where others are
    // trained behind it, else all. Once it has been trained, a longer search leaves it as it is and goes on with them.
    double network_limit(bool others) const;
    void network_is_trained(double limit) {
        network_ = limit;
        network_of_ = limit_;
    }

    // Writes time.json, once the search has begun. A failure is a warning.
    void keep() const;

 private:
    std::string folder_;
    double limit_ = 0, earlier_ = 0, evaluation_ = 0;
    std::optional<double> network_;  // the limit that the network was trained with
    double network_of_ = 0;          // and that of the whole search then
    Timer timer_;
};

// Training time that the metrics of a run folder tell; 0 without any.
double trained_seconds(const std::string& run);

}  // namespace lithe

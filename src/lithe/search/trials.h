// Trainings that a search makes: each a run folder of its own under trials/, its result a line of trials.jsonl. What
// stands in the journal is not trained again; what was stopped goes on where it stopped.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "lithe/base/score.h"
#include "lithe/search/search_time.h"
#include "lithe/train/trainer.h"

namespace lithe {

struct Trial {
    int64_t number = 0;
    std::string origin;  // "found", "baseline", "random", "evolution"
    std::string layout;
    int64_t tokens = 0;  // to train on
    double cost = 0;     // in the unit of search.cost
    // results
    Score score;
    double seconds = 0;  // of training
    int64_t parameters = 0;
};
nlohmann::ordered_json to_json(const Trial& trial);

class TrialJournal {
 public:
    // Reads trials.jsonl. A last line that was cut off is dropped; throws bad_file for any other damage.
    explicit TrialJournal(const std::string& folder);
    // The result of training this layout so long; null: not known.
    const Trial* find(const std::string& layout, int64_t tokens) const;
    void add(const Trial& trial);
    const std::vector<Trial>& trials() const { return trials_; }

 private:
    std::string path_;
    std::vector<Trial> trials_;
};

// A configuration as of a trial: another layout, nothing searched, a budget in tokens.
Config trial_config(const Config& searched, const std::string& layout, int64_t tokens);

// What every training of a search gets.
struct SearchOptions {
    std::vector<std::string> argv;  // for records
    std::stop_token stop = {};
    std::function<bool()> save_asked = {};  // as TrainOptions'
};
TrainOptions train_options(const SearchOptions& options, std::string run);

enum class TrialEnd { trained, stopped, out_of_time };

// Trains it within what is left of the search's time, unless the journal knows its result; fills in number and results.
// A trial is not begun when less time is left than the quickest of its length took. One that time cuts off has no
// result, for it would not compare; it goes on when the search is given more. `stopped`: a stop was asked for.
TrialEnd run_trial(const Config& config, const std::string& folder, TrialJournal& journal, Trial& trial,
                   SearchTime& time, const SearchOptions& options);

}  // namespace lithe

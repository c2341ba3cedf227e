// Trainings that a search makes: each a run folder of its own under trials/, its result a line of trials.jsonl. What
// stands in the journal is not trained again; what was stopped goes on where it stopped.
#pragma once

#include <optional>

#include "lithe/train/trainer.h"

namespace lithe {

struct Trial {
    int64_t number = 0;
    std::string origin;  // "found", "baseline", "random", "evolution"
    std::string layout;
    int64_t tokens = 0;  // to train on
    double cost = 0;     // in the unit of search.cost
    // results
    double bits_per_byte = 0, seconds = 0;
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

// Trains it, unless the journal knows its result; fills in number and results. False when a stop was asked for.
bool run_trial(const Config& config, const std::string& folder, TrialJournal& journal, Trial& trial,
               const std::vector<std::string>& argv);

}  // namespace lithe

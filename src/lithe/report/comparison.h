// Several runs beside each other: what differs between them, what came out, what it took, which are not beaten, and
// whether differences between groups of seeds are real. Printed as text, JSON and one self-contained page.
#pragma once

#include <functional>

#include "lithe/report/run_record.h"
#include "lithe/report/statistics.h"

namespace lithe {

// Stated, not measured; what is not stated is not shown.
struct Prices {
    std::optional<double> per_hour;       // of training, in any currency
    std::optional<double> watts;          // of the machine while it trains, where energy was not measured
    std::optional<double> grams_per_kwh;  // CO2
};

// Something that is to be small.
struct Measure {
    std::string key, title, unit;
    // nullopt: not known of this run
    std::function<std::optional<double>(const RunRecord&)> of;
    std::string (*show)(double value);
};

// Runs whose settings differ in the seed only. A seed that was run several times counts once, with its mean.
struct RunGroup {
    std::string name;
    std::vector<size_t> runs;
    size_t ranking = 0;
    ScoreKind score;                            // of its ranking
    Sample scores;                              // of the last evaluations, one value per seed
    double least = 0, most = 0;                 // of those values
    bool alone = false;                         // no other group of its ranking was evaluated
    bool several_seeds = false;                 // here and in the best group of its ranking
    std::optional<double> difference, half, p;  // from that group's mean; half of its 95 % interval, Welch's test
    std::string sentence;                       // the verdict in words
};

// Runs whose scores may be ranked: of one kind and one text, on the same stretch of it.
struct Ranking {
    std::vector<size_t> runs;
    std::string apart;  // why not with others; "" where the others say it
};

struct Comparison {
    std::vector<RunRecord> runs;
    std::map<std::string, std::vector<std::string>> differences;  // setting -> its value in each run
    std::vector<Measure> measures;                                // what at least one run knows
    std::vector<Ranking> rankings;                                // in the order of their first runs
    std::vector<RunGroup> groups;                                 // by ranking, in each the best first
    // measure -> groups that no other of their ranking beats in quality and in it, by rising cost in each ranking
    std::map<std::string, std::vector<size_t>> fronts;
    std::vector<std::string> warnings;  // what makes the runs hard to compare
    Prices prices;
};

// Joules of training: measured, else estimated from stated watts; nullopt without either.
std::optional<double> energy_of(const RunRecord& run, const Prices& prices);

// "best", "real, p 0.012", "one run on a side: no test" …
std::string verdict_of(const RunGroup& group);

// Which runs may be ranked against each other. Runs of another text (other fingerprint; with another tokenizer, whose
// fingerprint says nothing, other settings that name the text), with another kind of score or scored on another stretch
// are apart, and so are those whose tokenizer leaves bytes unspoken, from all with another tokenizer.
std::vector<Ranking> rank_apart(const std::vector<RunRecord>& runs);
// By settings without the seed; with difference from the best, test and sentence.
std::vector<RunGroup> group_runs(const std::vector<RunRecord>& runs, const std::vector<Ranking>& rankings);
// The mean over a group's runs that know it.
std::optional<double> mean_of(const Measure& measure, const std::vector<RunRecord>& runs, const RunGroup& group);

Comparison compare_runs(std::vector<RunRecord> runs, const Prices& prices);

// Tables of a comparison; the first row is the head.
using Rows = std::vector<std::vector<std::string>>;
// The unit of all runs' scores, where they have one.
std::string score_unit(const Comparison& comparison);
Rows run_rows(const Comparison& comparison);
Rows difference_rows(const Comparison& comparison);
Rows group_rows(const Comparison& comparison, size_t ranking);
// "Ranking 2: c, d"; "" when all runs are ranked together.
std::string ranking_title(const Comparison& comparison, size_t ranking);
// Names of the groups of a ranking that are not beaten; none where one is alone.
std::vector<std::string> front_names(const Comparison& comparison, const Measure& measure, size_t ranking);

std::string comparison_text(const Comparison& comparison);
nlohmann::ordered_json comparison_json(const Comparison& comparison);
std::string comparison_page(const Comparison& comparison);

}  // namespace lithe

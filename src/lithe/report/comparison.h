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

// Runs whose settings differ in the seed only.
struct RunGroup {
    std::string name;
    std::vector<size_t> runs;
    Sample bits;                          // per byte, of the last evaluations
    bool several_seeds = false;           // here and in the best group
    std::optional<double> difference, p;  // from the best group
};

struct Comparison {
    std::vector<RunRecord> runs;
    std::map<std::string, std::vector<std::string>> differences;  // setting -> its value in each run
    std::vector<Measure> measures;                                // what at least one run knows
    std::vector<RunGroup> groups;                                 // best first
    std::map<std::string, std::vector<size_t>> fronts;            // measure -> runs not beaten in quality and in it
    std::vector<std::string> warnings;                            // what makes the runs hard to compare
    Prices prices;
};

// Joules of training: measured, else estimated from stated watts; nullopt without either.
std::optional<double> energy_of(const RunRecord& run, const Prices& prices);

// "best", "real, p 0.012", "one run on a side: no test" …
std::string verdict_of(const RunGroup& group);

Comparison compare_runs(std::vector<RunRecord> runs, const Prices& prices);

// Tables of a comparison; the first row is the head.
using Rows = std::vector<std::vector<std::string>>;
Rows run_rows(const Comparison& comparison);
Rows difference_rows(const Comparison& comparison);
Rows group_rows(const Comparison& comparison);

std::string comparison_text(const Comparison& comparison);
nlohmann::ordered_json comparison_json(const Comparison& comparison);
std::string comparison_page(const Comparison& comparison);

}  // namespace lithe

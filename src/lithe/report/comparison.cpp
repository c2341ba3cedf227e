#include "lithe/report/comparison.h"

#include <algorithm>
#include <set>

#include "lithe/base/text.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

std::string setting_of(const RunRecord& run, const std::string& name) {
    auto found = run.settings.find(name);
    return found == run.settings.end() ? "" : found->second;
}

std::map<std::string, std::vector<std::string>> find_differences(const std::vector<RunRecord>& runs) {
    std::set<std::string> names;
    for (const RunRecord& run : runs)
        for (const auto& [name, value] : run.settings) names.insert(name);
    std::map<std::string, std::vector<std::string>> differences;
    for (const std::string& name : names) {
        std::vector<std::string> values;
        for (const RunRecord& run : runs) values.push_back(setting_of(run, name));
        if (std::any_of(values.begin(), values.end(), [&](const auto& value) { return value != values[0]; }))
            differences[name] = std::move(values);
    }
    return differences;
}

// Names become unique: equal ones are replaced by their paths.
void name_apart(std::vector<RunRecord>& runs) {
    std::map<std::string, int> seen;
    for (const RunRecord& run : runs) ++seen[run.name];
    for (RunRecord& run : runs)
        if (seen[run.name] > 1) run.name = run.folder;
}

std::optional<double> positive(double value) { return value > 0 ? std::optional(value) : std::nullopt; }

std::vector<Measure> all_measures(const Prices& prices) {
    std::vector<Measure> list = {
        {"seconds", "training time", "s", [](const RunRecord& r) { return positive(r.seconds); }, format_seconds},
        {"training_flops", "training FLOPs", "FLOP", [](const RunRecord& r) { return positive(r.training_flops()); },
         format_count},
        {"flops_per_token", "FLOPs per token (forward)", "FLOP",
         [](const RunRecord& r) { return positive(r.flops_per_token); }, format_count},
        {"parameters", "parameters", "", [](const RunRecord& r) { return positive(double(r.parameters)); },
         format_count},
        {"peak_memory", "peak memory", "bytes", [](const RunRecord& r) { return positive(r.peak_memory); },
         format_bytes},
        {"milliseconds", "latency per generated token", "ms", [](const RunRecord& r) { return r.milliseconds; },
         three_digits},
        {"joules", "energy of training", "J", [prices](const RunRecord& r) { return energy_of(r, prices); },
         format_count}};
    if (prices.grams_per_kwh)
        list.push_back({"co2_grams", "CO2", "g",
                        [prices](const RunRecord& r) -> std::optional<double> {
                            const auto joules = energy_of(r, prices);
                            return joules ? std::optional(*joules / 3.6e6 * *prices.grams_per_kwh) : std::nullopt;
                        },
                        three_digits});
    if (prices.per_hour)
        list.push_back({"cost", "cost at the stated price", "",
                        [prices](const RunRecord& r) { return positive(r.seconds / 3600 * *prices.per_hour); },
                        three_digits});
    return list;
}

// Groups that no other of their ranking beats, from the cheapest of each ranking on.
std::vector<size_t> front_of(const Comparison& comparison, const Measure& measure) {
    std::vector<size_t> front;
    for (size_t ranking = 0; ranking < comparison.rankings.size(); ++ranking) {
        std::vector<size_t> known;
        std::vector<Trade> trades;
        for (size_t i = 0; i < comparison.groups.size(); ++i) {
            const RunGroup& group = comparison.groups[i];
            if (group.ranking != ranking || group.scores.count == 0) continue;
            if (const auto cost = mean_of(measure, comparison.runs, group)) {
                known.push_back(i);
                trades.push_back({*cost, group.score.as_loss(group.scores.mean)});
            }
        }
        for (size_t place : unbeaten(trades)) front.push_back(known[place]);
    }
    return front;
}

// "memory 999 instead of 256, lead 0 instead of 1024"
std::string protocol_difference(const nlohmann::json& ours, const nlohmann::json& theirs) {
    if (!ours.is_object() || !theirs.is_object()) return "how is not recorded";
    std::set<std::string> keys;
    for (const auto* protocol : {&ours, &theirs})
        for (const auto& [key, value] : protocol->items()) keys.insert(key);
    std::vector<std::string> parts;
    auto text = [](const nlohmann::json& json, const std::string& key) {
        return json.contains(key) ? json[key].dump() : std::string("nothing");
    };
    for (const std::string& key : keys)
        if (text(ours, key) != text(theirs, key))
            parts.push_back(key + " " + text(ours, key) + " instead of " + text(theirs, key));
    return join(parts, ", ");
}

// Budgets in time give a run that shared its machine fewer tokens, and their scores are not those of its settings.
void warn_of_unequal_tokens(const std::vector<RunRecord>& runs, const Ranking& ranking,
                            std::vector<std::string>& warnings) {
    constexpr double kUnequal = 1.2;
    const RunRecord *fewest = nullptr, *most = nullptr;
    for (const size_t i : ranking.runs) {
        const RunRecord& run = runs[i];
        if (run.config.train.max_seconds <= 0 || run.tokens <= 0) continue;
        if (!fewest || run.tokens < fewest->tokens) fewest = &run;
        if (!most || run.tokens > most->tokens) most = &run;
    }
    if (!fewest || double(most->tokens) <= kUnequal * double(fewest->tokens)) return;
    warnings.push_back("in their time " + most->name + " saw " + format_count(double(most->tokens)) + " tokens, " +
                       fewest->name + " " + format_count(double(fewest->tokens)) +
                       ": to compare settings, give all runs the same train.max_tokens");
}

std::vector<std::string> find_warnings(const std::vector<RunRecord>& runs, const std::vector<Ranking>& rankings) {
    std::vector<std::string> warnings;
    for (const Ranking& ranking : rankings)
        if (!ranking.apart.empty()) warnings.push_back(ranking.apart);
    for (const RunRecord& run : runs)
        if (!run.last_score) warnings.push_back(run.name + " was never evaluated");
    for (const Ranking& ranking : rankings) {
        const RunRecord* first = nullptr;
        for (size_t i : ranking.runs) {
            const RunRecord& run = runs[i];
            if (!run.last_score) continue;
            if (!first) first = &run;
            if (run.protocol() != first->protocol())
                warnings.push_back(run.name + " was evaluated in another way than " + first->name + ": " +
                                   protocol_difference(run.protocol(), first->protocol()));
        }
    }
    for (const Ranking& ranking : rankings) warn_of_unequal_tokens(runs, ranking, warnings);
    for (const RunRecord& run : runs)
        if (!run.config.train.init_from.empty())
            warnings.push_back(run.name + " began with weights of " + run.config.train.init_from +
                               ": what those took is not counted");
    for (const char* key : {"cpu", "device", "threads"}) {
        std::set<std::string> values;
        for (const RunRecord& run : runs)
            if (run.machine.count(key)) values.insert(run.machine.at(key));
        if (values.size() > 1)
            warnings.push_back(std::string("times are of different machines: ") + key + " " +
                               join({values.begin(), values.end()}, ", "));
    }
    return warnings;
}

}  // namespace

std::optional<double> energy_of(const RunRecord& run, const Prices& prices) {
    if (run.joules) return run.joules;
    if (prices.watts && run.seconds > 0) return *prices.watts * run.seconds;
    return std::nullopt;
}

Comparison compare_runs(std::vector<RunRecord> runs, const Prices& prices) {
    Comparison comparison;
    name_apart(runs);
    comparison.prices = prices;
    comparison.differences = find_differences(runs);
    for (Measure& measure : all_measures(prices))
        if (std::any_of(runs.begin(), runs.end(), [&](const RunRecord& run) { return measure.of(run).has_value(); }))
            comparison.measures.push_back(std::move(measure));
    comparison.rankings = rank_apart(runs);
    comparison.groups = group_runs(runs, comparison.rankings);
    comparison.warnings = find_warnings(runs, comparison.rankings);
    comparison.runs = std::move(runs);
    for (const Measure& measure : comparison.measures) comparison.fronts[measure.key] = front_of(comparison, measure);
    return comparison;
}

}  // namespace lithe

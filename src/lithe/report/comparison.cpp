#include "lithe/report/comparison.h"

#include <algorithm>
#include <set>

#include "lithe/base/text.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

// Settings that do not change what is learned.
bool without_effect(const std::string& setting) {
    for (const char* prefix : {"checkpoint.", "sample.", "train.log_every"})
        if (setting.rfind(prefix, 0) == 0) return true;
    return false;
}

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

// Runs that no other beats, from the cheapest on.
std::vector<size_t> front_of(const std::vector<RunRecord>& runs, const Measure& measure) {
    std::vector<size_t> known;
    std::vector<Trade> trades;
    for (size_t i = 0; i < runs.size(); ++i)
        if (const auto cost = measure.of(runs[i]); cost && runs[i].last_bits)
            known.push_back(i), trades.push_back({*cost, *runs[i].last_bits});
    std::vector<size_t> front;
    for (size_t place : unbeaten(trades)) front.push_back(known[place]);
    return front;
}

std::string common_name(const std::vector<RunRecord>& runs, const std::vector<size_t>& members) {
    std::string name = runs[members[0]].name;
    if (members.size() == 1) return name;
    for (size_t member : members) {
        const std::string& other = runs[member].name;
        name.resize(size_t(std::mismatch(name.begin(), name.end(), other.begin(), other.end()).first - name.begin()));
    }
    auto trim = [&] { name.resize(name.find_last_not_of("-_./") + 1); };
    trim();
    for (const char* ending : {"seed", "-s", "_s"})  // "books-seed1", "books-s1"
        if (name.ends_with(ending)) name.resize(name.size() - std::string(ending).size());
    trim();
    return (name.empty() ? runs[members[0]].name : name) + " (" + std::to_string(members.size()) + " seeds)";
}

std::vector<RunGroup> group_runs(const std::vector<RunRecord>& runs) {
    std::map<std::vector<std::pair<std::string, std::string>>, RunGroup> found;
    for (size_t i = 0; i < runs.size(); ++i) {
        std::vector<std::pair<std::string, std::string>> key;
        for (const auto& each : runs[i].settings)
            if (each.first != "train.seed" && !without_effect(each.first)) key.push_back(each);
        found[key].runs.push_back(i);
    }
    std::vector<RunGroup> groups;
    for (auto& [key, group] : found) {
        std::vector<double> bits;
        for (size_t run : group.runs)
            if (runs[run].last_bits) bits.push_back(*runs[run].last_bits);
        group.bits = describe(bits);
        group.name = common_name(runs, group.runs);
        groups.push_back(std::move(group));
    }
    std::stable_sort(groups.begin(), groups.end(), [](const RunGroup& a, const RunGroup& b) {
        if ((a.bits.count > 0) != (b.bits.count > 0)) return a.bits.count > 0;
        return a.bits.mean < b.bits.mean;
    });
    for (size_t i = 1; i < groups.size(); ++i) {
        if (groups[i].bits.count == 0) continue;
        groups[i].difference = groups[i].bits.mean - groups[0].bits.mean;
        groups[i].several_seeds = groups[i].bits.count > 1 && groups[0].bits.count > 1;
        groups[i].p = welch_p(groups[i].bits, groups[0].bits);
    }
    return groups;
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

std::vector<std::string> find_warnings(const std::vector<RunRecord>& runs) {
    std::vector<std::string> warnings;
    for (const RunRecord& run : runs)
        if (!run.last_bits) warnings.push_back(run.name + " was never evaluated");
    const auto first =
        std::find_if(runs.begin(), runs.end(), [](const RunRecord& r) { return r.last_bits.has_value(); });
    for (const RunRecord& run : runs)
        if (run.last_bits && run.protocol() != first->protocol())
            warnings.push_back(run.name + " was evaluated in another way than " + first->name + ": " +
                               protocol_difference(run.protocol(), first->protocol()));
    for (const RunRecord& run : runs)
        if (run.data_fingerprint != runs[0].data_fingerprint)
            warnings.push_back(run.name + " was trained on other data than " + runs[0].name);
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
    for (const Measure& measure : comparison.measures) comparison.fronts[measure.key] = front_of(runs, measure);
    comparison.groups = group_runs(runs);
    comparison.warnings = find_warnings(runs);
    comparison.runs = std::move(runs);
    return comparison;
}

}  // namespace lithe

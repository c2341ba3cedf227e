// Runs that differ in their seed only, as one: name, mean, difference from the best, and what that says.
#include <algorithm>
#include <cmath>

#include "lithe/base/text.h"
#include "lithe/report/comparison.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

// Settings that do not change what is learned; a text whose fingerprint is known may lie anywhere.
bool without_effect(const std::string& setting, const RunRecord& run) {
    for (const char* prefix : {"checkpoint.", "sample.", "train.log_every"})
        if (setting.rfind(prefix, 0) == 0) return true;
    for (const char* path : {"data.path", "data.train", "data.valid", "data.test"})
        if (setting == path) return !run.data_fingerprint.empty();
    return false;
}

std::string seed_of(const RunRecord& run) {
    const auto found = run.settings.find("train.seed");
    return found == run.settings.end() ? "" : found->second;
}

std::string counted(size_t count, const std::string& what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string name_of(const std::vector<RunRecord>& runs, const std::vector<size_t>& members, size_t seeds) {
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
    std::string many = counted(seeds, "seed");
    if (seeds < members.size()) many = counted(members.size(), "run") + " of " + many;
    return (name.empty() ? runs[members[0]].name : name) + " (" + many + ")";
}

// One value per seed.
void take_results(RunGroup& group, const std::vector<RunRecord>& runs) {
    std::map<std::string, std::vector<double>> of_seed;
    std::map<std::string, int> seeds;
    for (size_t run : group.runs) {
        ++seeds[seed_of(runs[run])];
        if (!runs[run].last_score) continue;
        of_seed[seed_of(runs[run])].push_back(*runs[run].last_score);
        group.score = runs[run].score;
    }
    std::vector<double> scores;
    for (const auto& [seed, values] : of_seed) scores.push_back(describe(values).mean);
    group.scores = describe(scores);
    if (!scores.empty()) group.least = *std::min_element(scores.begin(), scores.end());
    if (!scores.empty()) group.most = *std::max_element(scores.begin(), scores.end());
    group.name = name_of(runs, group.runs, seeds.size());
}

std::string sentence_of(const RunGroup& group, const RunGroup& best) {
    if (group.scores.count == 0) return group.name + " was never evaluated: it is not ranked.";
    const std::string score = fixed_digits(group.scores.mean, 4) + " " + group.score.unit;
    if (group.alone) return group.name + " has " + score + "; nothing here may be ranked against it.";
    if (!group.difference) return group.name + " is the best, with " + score + ".";
    const double by = group.score.as_loss(*group.difference);
    const std::string worse = group.name + " is " + fixed_digits(by, 4) + " " + group.score.unit + " (" +
                              three_digits(100 * by / std::abs(best.scores.mean)) + " %) worse than " + best.name;
    if (!group.several_seeds)
        return worse + "; with one seed on a side it cannot be told whether chance alone makes such a difference.";
    if (!group.p) return worse + "; seeds do not differ, so that there is nothing to test it by.";
    const std::string interval = ", give or take " + fixed_digits(*group.half, 4) + " (95 %)";
    if (*group.p < 0.05) return worse + interval + ": more than chance makes of seeds (p " + p_text(*group.p) + ").";
    return worse + interval + ": chance alone may make such a difference (p " + p_text(*group.p) + ").";
}

// `groups`: all of one ranking, the best first.
void compare_with_best(const std::vector<RunGroup*>& groups) {
    RunGroup& best = *groups[0];
    best.alone = groups.size() < 2 || groups[1]->scores.count == 0;
    for (RunGroup* group : groups) {
        if (group != &best && group->scores.count > 0) {
            group->difference = group->scores.mean - best.scores.mean;
            group->several_seeds = group->scores.count > 1 && best.scores.count > 1;
            group->p = welch_p(group->scores, best.scores);
            group->half = welch_half(group->scores, best.scores);
        }
        group->sentence = sentence_of(*group, best);
    }
}

}  // namespace

std::string verdict_of(const RunGroup& group) {
    if (group.scores.count == 0) return "not evaluated";
    if (!group.difference) return group.alone ? "alone" : "best";
    if (!group.several_seeds) return "one run on a side: no test";
    if (!group.p) return "seeds do not differ: no test";
    return (*group.p < 0.05 ? "real, p " : "not shown to be real, p ") + p_text(*group.p);
}

std::vector<RunGroup> group_runs(const std::vector<RunRecord>& runs, const std::vector<Ranking>& rankings) {
    std::vector<RunGroup> groups;
    for (size_t ranking = 0; ranking < rankings.size(); ++ranking) {
        std::map<std::vector<std::pair<std::string, std::string>>, RunGroup> found;
        for (size_t i : rankings[ranking].runs) {
            std::vector<std::pair<std::string, std::string>> key;
            for (const auto& each : runs[i].settings)
                if (each.first != "train.seed" && !without_effect(each.first, runs[i])) key.push_back(each);
            found[key].runs.push_back(i);
        }
        const size_t first = groups.size();
        for (auto& [key, group] : found) {
            group.ranking = ranking;
            take_results(group, runs);
            groups.push_back(std::move(group));
        }
        std::stable_sort(groups.begin() + std::ptrdiff_t(first), groups.end(),
                         [](const RunGroup& a, const RunGroup& b) {
                             if ((a.scores.count > 0) != (b.scores.count > 0)) return a.scores.count > 0;
                             return a.score.better(a.scores.mean, b.scores.mean);
                         });
        std::vector<RunGroup*> of_ranking;
        for (size_t i = first; i < groups.size(); ++i) of_ranking.push_back(&groups[i]);
        compare_with_best(of_ranking);
    }
    return groups;
}

std::optional<double> mean_of(const Measure& measure, const std::vector<RunRecord>& runs, const RunGroup& group) {
    double sum = 0;
    size_t known = 0;
    for (size_t run : group.runs) {
        const auto value = measure.of(runs[run]);
        if (!value) continue;
        sum += *value;
        ++known;
    }
    return known > 0 ? std::optional(sum / double(known)) : std::nullopt;
}

}  // namespace lithe

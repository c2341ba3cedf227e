// Which runs of a comparison may be ranked against each other.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "lithe/base/text.h"
#include "lithe/report/comparison.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

std::string setting(const RunRecord& run, const std::string& name) {
    const auto found = run.settings.find(name);
    return found == run.settings.end() ? "" : found->second;
}

std::string tokenizer_of(const RunRecord& run) {
    if (!run.tokenizer_hash.empty()) return run.tokenizer_hash;
    return setting(run, "data.tokenizer") + " " + setting(run, "data.vocabulary") + " " +
           setting(run, "data.min_count");
}

// One path may be as seen from another folder.
bool same_path(const std::string& a, const std::string& b) {
    const auto one = std::filesystem::path(a).lexically_normal(), other = std::filesystem::path(b).lexically_normal();
    if (one == other) return true;
    if (one.empty() || other.empty() || one.is_absolute() == other.is_absolute()) return false;
    const auto& longer = one.is_absolute() ? one : other;
    const auto& shorter = one.is_absolute() ? other : one;
    auto at = longer.end();
    for (auto part = shorter.end(); part != shorter.begin();) {
        if (at == longer.begin() || *--at != *--part) return false;
    }
    return true;
}

// "" when the settings name the same text; "data.path is b.txt, not a.txt".
std::string other_settings(const RunRecord& run, const RunRecord& than) {
    for (const char* name : {"sources", "path", "train", "valid", "test", "split", "format", "field", "documents",
                             "deduplicate", "include", "exclude"}) {
        const std::string key = std::string("data.") + name, ours = setting(run, key), theirs = setting(than, key);
        const bool path = key == "data.path" || key == "data.train" || key == "data.valid" || key == "data.test";
        if (ours == theirs || (path && same_path(ours, theirs))) continue;
        auto shown = [](const std::string& value) { return value.empty() ? "nothing" : value; };
        return key + " is " + shown(ours) + ", not " + shown(theirs);
    }
    return "";
}

// What was scored: bytes that differ by a token at an end are the same stretch.
std::string other_stretch(const RunRecord& run, const RunRecord& than) {
    if (!run.last_score || !than.last_score) return "";
    for (const auto& [key, missing] :
         {std::pair("split", std::string("valid")), std::pair("objective", ObjectiveConfig().name)}) {
        auto of = [&, k = key, m = missing](const RunRecord& record) {
            const nlohmann::json protocol = record.protocol();
            return protocol.is_object() && protocol.contains(k) && protocol[k].is_string()
                       ? protocol[k].get<std::string>()
                       : m;
        };
        if (of(run) != of(than)) return std::string(key) + " \"" + of(run) + "\", not \"" + of(than) + "\"";
    }
    const bool unspoken = run.unspoken_share() > 0 || than.unspoken_share() > 0;
    if (unspoken && tokenizer_of(run) != tokenizer_of(than)) return "";  // they come apart for that
    const double ours = number_of(run.last_valid, "bytes"), theirs = number_of(than.last_valid, "bytes");
    if (ours <= 0 || theirs <= 0 || std::abs(ours - theirs) <= std::max(32.0, 0.005 * theirs)) return "";
    return fixed_digits(ours, 0) + " bytes, not " + fixed_digits(theirs, 0);
}

std::string words_of(const ScoreKind& kind) {
    return kind.unit + " (" + kind.name + ", " + (kind.less_is_better ? "less" : "more") + " is better)";
}

// Why the score of `run` says nothing beside those of `than`; "" when the text is the same.
std::string other_text(const RunRecord& run, const RunRecord& than) {
    const bool known = !run.data_fingerprint.empty() && !than.data_fingerprint.empty();
    if (known && tokenizer_of(run) == tokenizer_of(than)) {
        if (run.data_fingerprint != than.data_fingerprint)
            return run.name + " was trained on other data than " + than.name + " (fingerprint " + run.data_fingerprint +
                   ", not " + than.data_fingerprint + "): they are not ranked together.";
    } else if (const std::string other = other_settings(run, than); !other.empty()) {
        return run.name + " was trained on other data than " + than.name + " (" + other +
               "): they are not ranked together.";
    }
    if (run.last_score && than.last_score && !(run.score == than.score))
        return run.name + " is scored in " + words_of(run.score) + ", " + than.name + " in " + words_of(than.score) +
               ": they are not ranked together.";
    const std::string stretch = other_stretch(run, than);
    return stretch.empty() ? ""
                           : run.name + " was scored on another text than " + than.name + " (" + stretch +
                                 "): they are not ranked together.";
}

std::string unspoken_sentence(const RunRecord& run) {
    return "The tokenizer of " + run.name + " leaves " + three_digits(100 * run.unspoken_share()) +
           " % of the scored bytes unspoken (an unknown token stands for them, or none), which costs next to nothing: "
           "the run is not ranked against those with another.";
}

// Of runs of one text: those whose tokenizer leaves bytes unspoken are apart, each tokenizer for itself.
std::vector<Ranking> apart_by_tokenizer(const std::vector<RunRecord>& runs, const Ranking& text) {
    std::map<std::string, size_t> unspoken;  // tokenizer -> a run that tells the share
    std::set<std::string> tokenizers;
    for (size_t run : text.runs) {
        tokenizers.insert(tokenizer_of(runs[run]));
        if (runs[run].unspoken_share() > 0) unspoken.try_emplace(tokenizer_of(runs[run]), run);
    }
    if (unspoken.empty() || tokenizers.size() < 2) return {text};
    std::vector<Ranking> rankings;
    std::map<std::string, size_t> places;
    for (size_t run : text.runs) {
        const auto found = unspoken.find(tokenizer_of(runs[run]));
        const std::string key = found == unspoken.end() ? "" : found->first;
        if (places.try_emplace(key, rankings.size()).second)
            rankings.push_back({{}, found == unspoken.end() ? text.apart : unspoken_sentence(runs[found->second])});
        rankings[places[key]].runs.push_back(run);
    }
    return rankings;
}

}  // namespace

std::vector<Ranking> rank_apart(const std::vector<RunRecord>& runs) {
    std::vector<Ranking> texts;
    for (size_t i = 0; i < runs.size(); ++i) {
        std::string apart;
        auto same = std::find_if(texts.begin(), texts.end(), [&](const Ranking& text) {
            return std::all_of(text.runs.begin(), text.runs.end(), [&](size_t member) {
                const std::string why = other_text(runs[i], runs[member]);
                if (apart.empty()) apart = why;
                return why.empty();
            });
        });
        if (same != texts.end()) same->runs.push_back(i);
        else texts.push_back({{i}, apart});
    }
    std::vector<Ranking> rankings;
    for (const Ranking& text : texts)
        for (Ranking& ranking : apart_by_tokenizer(runs, text)) rankings.push_back(std::move(ranking));
    return rankings;
}

}  // namespace lithe

// Architecture search: what stands at the searched places ('?') of a layout. A search is a folder:
//
//   config.toml    what was searched            costs.json    what candidates cost on the machine it began on
//   supernet/      gumbel: the run of the network that holds every candidate
//   trials/N/      runs of single layouts       trials.jsonl  their results, the journal
//   found.toml     the result, ready to train   search.json   the result in numbers    search.html  a page about it
//   time.json      the time it has used
//
// A search that was stopped goes on where it stopped, with the same command or with `lithe search FOLDER`.
#pragma once

#include "lithe/report/search_rank.h"
#include "lithe/search/trials.h"

namespace lithe {

struct SearchResult {
    std::string stopped_by;  // "finished", "time" before all trainings of gumbel's comparison, "signal"
    std::string layout;      // what was found
    double cost = 0;
    std::optional<Score> score;  // trained alone; of gumbel with search.retrain_tokens
    std::vector<Trial> trials;
    std::optional<SearchRank> rank;  // among what gumbel's search.retrain_tokens trained
    std::vector<std::string> notes;  // what was left out and why, a sentence each
};

// Throws usage for a layout without places, a budget that no layout meets, and settings that contradict each other.
SearchResult run_search(const Config& config, const std::string& folder, const SearchOptions& options);

// Whether a search was begun there.
bool is_search_folder(const std::string& path);

nlohmann::ordered_json to_json(const SearchResult& result, const Config& config);

}  // namespace lithe

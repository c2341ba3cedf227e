// Architecture search: what stands at the searched places ('?') of a layout. A search is a folder:
//
//   config.toml    what was searched            costs.json    what candidates cost on the machine it began on
//   supernet/      gumbel: the run of the network that holds every candidate
//   trials/N/      runs of single layouts       trials.jsonl  their results, the journal
//   found.toml     the result, ready to train   search.json   the result in numbers    search.html  a page about it
//
// A search that was stopped goes on where it stopped, with the same command or with `lithe search FOLDER`.
#pragma once

#include "lithe/search/trials.h"

namespace lithe {

struct SearchResult {
    std::string stopped_by;  // "finished", "signal"
    std::string layout;      // what was found
    double cost = 0;
    std::optional<double> bits_per_byte;  // trained alone; of gumbel with search.retrain_tokens
    std::vector<Trial> trials;
};

// Throws usage for a layout without places, a budget that no layout meets, and settings that contradict each other.
SearchResult run_search(const Config& config, const std::string& folder, const std::vector<std::string>& argv);

// Whether a search was begun there.
bool is_search_folder(const std::string& path);

nlohmann::ordered_json to_json(const SearchResult& result, const Config& config);

}  // namespace lithe

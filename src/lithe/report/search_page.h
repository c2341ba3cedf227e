// search.html of a search folder: what was found, choices over time per place, what candidates cost, trials and which
// of them are not beaten. One self-contained file.
#pragma once

#include <string>

namespace lithe {

// Reads the folder's files. A failure is a warning: a page never ends a search.
void write_search_page(const std::string& folder);

}  // namespace lithe

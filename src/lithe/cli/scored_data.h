// The text that a trained model is looked at with: --data of several commands.
#pragma once

#include <string>

#include "lithe/data/corpus.h"
#include "lithe/objectives/load_model.h"

namespace lithe {

// "FILE:split"; a file without a split is taken whole, as split "all". "" and ":split" are the run's own text. Labels
// are read from another text, too, where `labels` says that the model gives some.
void choose_data(const std::string& text, bool labels, Config& config, std::string& split);
// The chosen text. `model` and `asked`: as the user named them. A run that was moved, or made before paths were
// recorded whole, may not find its own: the error says how to name it.
Corpus open_data(const LoadedModel& loaded, const std::string& model, const std::string& asked);

}  // namespace lithe

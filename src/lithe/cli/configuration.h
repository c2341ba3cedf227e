// Configurations that a command looks at without training them.
#pragma once

#include <string>
#include <vector>

#include "lithe/spec/config.h"

namespace lithe {

// Whether a command's argument is a configuration file, and not a text or a folder.
bool is_configuration(const std::string& path);

// Throws usage where settings contradict each other; candidates of a search are let through.
Config checked_configuration(const std::string& path, const std::vector<std::string>& sets);

// Number of token ids of the model that would be trained. Opens the data where only they can tell; throws usage where
// none are named.
int64_t vocabulary_to_train(const Config& config, const std::string& path);

}  // namespace lithe

// Settings of earlier versions under today's names (spec/migrations.h), in a table that was read.
#pragma once

#include <toml++/toml.h>

#include "lithe/base/error.h"

namespace lithe {

// `version`: that of the configuration.
void rename_settings(toml::table& root, int64_t version, Problems& problems);

}  // namespace lithe

// [model.encoder] and [model.decoder]: what a second stack's settings are, and where they come from.
#pragma once

#include <toml++/toml.h>

#include <set>
#include <string>

#include "lithe/base/error.h"
#include "lithe/spec/config.h"

namespace lithe {

bool is_stack(const std::string& name);

// What an encoder is without settings of its own: it sees all of its source, and there is no segment before.
ModelConfig encoder_like(const ModelConfig& shared);

// The encoder as the section that it is in a file.
void visit_encoder(const Config& config, FieldVisitor& v);

// Both stacks have [model]'s settings but for those that they set. The decoder's become the model's own. Call it when
// [model] has been read.
void read_stacks(const toml::table& root, Config& config, Problems& problems, const std::string& file,
                 const std::set<std::string>& from_flags);

}  // namespace lithe

// Parallel text: line n of a file and line n of its partner are a pair of documents.
#pragma once

#include "lithe/data/part_emitter.h"

namespace lithe {

// Whether a file is the other side: has data.parallel as its extension, packed or not.
bool is_partner(const std::string& name, const std::string& extension);

// The other side of a file: "a/train.de.gz", ".en" -> "a/train.en.gz".
std::string partner_path(const std::string& path, const std::string& extension);

// The partner has data.parallel as its extension. A pair with an empty side is left out. Throws bad_file when one file
// has more lines than the other.
void read_pairs(const DataConfig& config, const Input& input, PartEmitter& out);

}  // namespace lithe

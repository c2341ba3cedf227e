// What earlier versions called things, and what they are called today: the one place that knows. Checkpoints outlive
// the code that wrote them.
//
//   schema 1   parameters "body.7.attention.qkv" (7: blocks with weights of their own, counted), moments as flat
//              tensors in the order in which the model made its parameters, a closed list of files
//   schema 2   today: docs/file_formats.md
#pragma once

#include <map>
#include <string>
#include <vector>

namespace lithe {

// Today's names of what a schema-1 file calls otherwise, by the names in the file. `today`: the model's parameters, the
// blocks of its stack in their order. Names that both schemas have, and unknown ones, are not in it.
std::map<std::string, std::string> renamed_parameters(const std::vector<std::string>& today,
                                                      const std::vector<std::string>& in_file);

}  // namespace lithe

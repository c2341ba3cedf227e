// The paths that a configuration names. A run records them whole, so that it goes on, is evaluated and compared from
// any folder.
#pragma once

#include <string>

#include "lithe/spec/config.h"

namespace lithe {

// From the current folder, without "." and, where no ".." is in it, double separators.
std::string absolute_path(const std::string& path);

// Throws usage where the path, made absolute, is not UTF-8: what records it is JSON and TOML, which hold no other text.
// `where` is the setting or flag that names it.
void require_utf8_path(const std::string& path, const std::string& where);

// Every path of the data, the tokenizer and train.init_from made absolute from the current folder. Throws where one is
// not UTF-8.
Config with_absolute_paths(Config config);

// What a configuration trains on, for people: data.path, data.train or the sources.
std::string data_name(const DataConfig& data);
// The file that a split of it comes from: its own one, where splits have files.
std::string split_file(const DataConfig& data, const std::string& split);

// Whether both name a single file, and these differ in size: then the text is certainly another one.
bool certainly_other_text(const DataConfig& before, const DataConfig& now);

}  // namespace lithe

// Reading, checking, printing and comparing configurations.
//
// Layers: defaults < file < `--set key=value`. Unknown keys, wrong types and values out of bounds are problems; all of
// them are told in one usage error. Amounts may carry units: "50M" tokens, "10m" of time.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lithe/base/error.h"
#include "lithe/spec/config.h"

namespace lithe {

Config load_config(const std::string& path, const std::vector<std::string>& sets = {});
Config parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets = {});

// TOML that parses to the same configuration; each value has its origin as a comment.
std::string to_toml(const Config& config);
std::string to_json(const Config& config);
Config config_from_json(std::string_view text, const std::string& name);

// "optimizer.learning_rate: 0.001 became 0.002", one per difference.
std::vector<std::string> differences(const Config& before, const Config& after);

// Gives the options of a block their types. `visit` lists the options struct's fields.
void read_options(const std::vector<RawValue>& options, const std::function<void(FieldVisitor&)>& visit,
                  const std::string& where, Problems& problems);

struct FieldDoc {
    std::string path, type, default_value, help;
};
std::vector<FieldDoc> list_fields(const std::function<void(FieldVisitor&)>& visit);
std::vector<FieldDoc> list_config_fields();

}  // namespace lithe

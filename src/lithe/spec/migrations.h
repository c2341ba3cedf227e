// What earlier versions called things, and what they are called today: the one place that knows. Checkpoints outlive
// the code that wrote them.
//
//   schema 1   parameters "body.7.attention.qkv" (7: blocks with weights of their own, counted), moments as flat
//              tensors in the order in which the model made its parameters, a closed list of files
//   schema 2   a model's file has its tables whole, in fp32, and the training part none of their rows
//   schema 3   today: docs/file_formats.md
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace lithe {

// Today's numbers.
inline constexpr int64_t kCheckpointSchema = 3;  // of manifest.json: "lithe.checkpoint/3"
inline constexpr int64_t kStateSchema = 3;       // of state.json: "lithe.state/3"
inline constexpr int64_t kConfigVersion = 4;     // of config.toml and config.json: version = 4

// The number of a schema "NAME/N". Throws bad_file where it is another name, and for numbers above `newest` with the
// number and the remedy.
int64_t schema_number(const std::string& schema, const std::string& name, int64_t newest, const std::string& source);
// Only the latter.
void refuse_newer_schema(const std::string& schema, const std::string& name, int64_t newest, const std::string& source);
// "this lithe (0.1.0) reads up to 2: update lithe"
std::string update_hint(int64_t newest);

// Settings that stood elsewhere or had another name, by their paths; `until`: the last version of the configuration
// that had it so. What is said of "model." holds for the stacks [model.encoder] and [model.decoder] as well.
struct RenamedSetting {
    const char *before, *now;
    int64_t until;
};
std::span<const RenamedSetting> renamed_settings();
// Where such a setting stands today; empty: it had no other path.
std::string path_today(const std::string& before);

// Values that had another name, by setting.
struct RenamedValue {
    const char *setting, *before, *now;
    int64_t until;
};
std::span<const RenamedValue> renamed_values();

// Paths of [model] in every table that has its settings: of "model.head" also "model.encoder.head".
std::vector<std::string> in_every_stack(const std::string& path);

// Lengths of n-grams, as "2-6, 8", of the two settings that said them until version 3: a list ("all": every one), and
// the longest, where it was cut off. Throws usage where nothing is left of a list.
std::string ngram_lengths_until_3(const std::string& list, int64_t longest);

// What a file of schema 1 is for; empty: there was none of this name.
std::string role_in_schema_1(const std::string& file);

// state.json of earlier schemas in today's form; `config` is config.json beside it, which held what the machine had
// made of the settings.
void migrate_state(nlohmann::json& state, const nlohmann::json& config);

// Today's names of what a schema-1 file calls otherwise, by the names in the file. `today`: the model's parameters, the
// blocks of its stack in their order. Names that both schemas have, and unknown ones, are not in it.
std::map<std::string, std::string> renamed_parameters(const std::vector<std::string>& today,
                                                      const std::vector<std::string>& in_file);
// The order in which schema 1 laid out flat moments, as indices into `today` (order as above; tables are among them).
std::vector<size_t> order_of_schema_1(const std::vector<std::string>& today);
inline constexpr int64_t kAlignmentOfSchema1 = 32;  // numbers; each parameter's begin was rounded up to it

// Flat tensors of an optimizer.safetensors of schema 1, and what stands before a parameter's name in its place.
struct FlatTensor {
    const char *name, *prefix;
};
std::span<const FlatTensor> flat_tensors_of_schema_1();
// Other tensors in it: "table.N" (table number N's sums), carried states, what a search has.
std::string renamed_in_optimizer(const std::string& name, const std::vector<std::string>& tables);

}  // namespace lithe

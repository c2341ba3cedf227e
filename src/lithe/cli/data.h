// Sub-commands of `lithe data`, one function each: adds its flags and returns what to run.
#pragma once

#include "lithe/cli/command.h"
#include "lithe/formats/token_set.h"
#include "lithe/spec/config.h"

namespace lithe {

// The flags that say what a corpus is, as in the [data] section.
void add_data_flags(CLI::App& app, DataConfig& config);
// What a token set holds.
nlohmann::ordered_json describe_token_set(const TokenSetInfo& info);
// Prints an object as "key: value" lines, or as JSON when asked for.
int print_data(const char* command, const nlohmann::ordered_json& json, const CommandContext& context);

CommandAction set_up_data_prepare(CLI::App& app, const CommandContext& context);
CommandAction set_up_data_info(CLI::App& app, const CommandContext& context);
CommandAction set_up_data_verify(CLI::App& app, const CommandContext& context);
CommandAction set_up_data_get(CLI::App& app, const CommandContext& context);
CommandAction set_up_data_import(CLI::App& app, const CommandContext& context);
CommandAction set_up_data_train_tokenizer(CLI::App& app, const CommandContext& context);
CommandAction set_up_data_encode(CLI::App& app, const CommandContext& context);
CommandAction set_up_data_decode(CLI::App& app, const CommandContext& context);

}  // namespace lithe

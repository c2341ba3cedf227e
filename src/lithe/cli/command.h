// The command line: one file per command, one table. A command adds its flags to a CLI11 sub-command and returns what
// to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lithe/base/choice.h"

namespace lithe {

// What every command gets.
struct CommandContext {
    bool json = false;              // print one JSON object as the last line of stdout
    std::vector<std::string> argv;  // for records
};

using CommandAction = std::function<int()>;

struct Command {
    const char* name;
    const char* description;
    // Adds flags; the returned action runs after parsing. `context` outlives the action.
    CommandAction (*set_up)(CLI::App& app, const CommandContext& context);
};

CommandAction set_up_train(CLI::App& app, const CommandContext& context);
CommandAction set_up_plan(CLI::App& app, const CommandContext& context);
CommandAction set_up_eval(CLI::App& app, const CommandContext& context);
CommandAction set_up_generate(CLI::App& app, const CommandContext& context);
CommandAction set_up_translate(CLI::App& app, const CommandContext& context);
CommandAction set_up_finetune(CLI::App& app, const CommandContext& context);
CommandAction set_up_predict(CLI::App& app, const CommandContext& context);
CommandAction set_up_inspect(CLI::App& app, const CommandContext& context);
CommandAction set_up_search(CLI::App& app, const CommandContext& context);
CommandAction set_up_compare(CLI::App& app, const CommandContext& context);
CommandAction set_up_info(CLI::App& app, const CommandContext& context);
CommandAction set_up_import(CLI::App& app, const CommandContext& context);
CommandAction set_up_data(CLI::App& app, const CommandContext& context);
CommandAction set_up_bench(CLI::App& app, const CommandContext& context);

// --max-steps, --max-tokens and --max-time: settings like any other.
struct BudgetFlags {
    std::string max_steps, max_tokens, max_time;  // as given
    // `sets` and what they set.
    std::vector<std::string> with(std::vector<std::string> sets) const;
};
// Checks a flag for a finite number in these bounds. (CLI::Range lets "nan" through.)
CLI::Validator number_between(double low, double high);

// --length-penalty of a beam.
void add_length_penalty(CLI::App& app, double& value);
// Without a value it is known not to have been given.
void add_length_penalty(CLI::App& app, std::optional<double>& value);

// An option whose values are those of a closed choice.
template <NamedChoice Enum>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Enum& value, const std::string& help) {
    const auto set = [&value](const std::string& text) { value = *value_of<Enum>(text); };
    return app.add_option_function<std::string>(name, set, help)
        ->default_str(name_of(value))
        ->check(CLI::IsMember(choice_names<Enum>()));
}
// One that may be left out; `among`: the values that it takes.
template <NamedChoice Enum>
CLI::Option* add_choice(CLI::App& app, const std::string& name, std::optional<Enum>& value, const std::string& help,
                        std::initializer_list<Enum> among) {
    std::vector<std::string> names;
    for (Enum each : among) names.push_back(name_of(each));
    const auto set = [&value](const std::string& text) { value = value_of<Enum>(text); };
    return app.add_option_function<std::string>(name, set, help)->check(CLI::IsMember(names));
}

// Every setting whose path begins so, with its default, for --help.
std::string settings_help(const std::string& prefix = "");

// Prints `json` with its schema as one line on stdout.
void print_json(const std::string& command, nlohmann::ordered_json json);

// The whole program; main() and the tests call it. Returns the exit code and never throws.
int run_program(const std::vector<std::string>& arguments);

}  // namespace lithe

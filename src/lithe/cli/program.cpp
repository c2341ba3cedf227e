#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <new>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/version.h"
#include "lithe/base/wording.h"
#include "lithe/cli/command.h"
#include "lithe/cli/exit_code.h"
#include "lithe/cli/output.h"
#include "lithe/cli/signals.h"
#include "lithe/objectives/objective.h"
#include "lithe/ops/torch.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace {

const Command kCommands[] = {
    {"train", "train a model from a configuration file, or on a text within a time by a plan", set_up_train},
    {"plan", "what `train TEXT --max-time` would train, and the quality to expect", set_up_plan},
    {"eval", "bits per byte, loss and perplexity of a trained model, with the protocol stated", set_up_eval},
    {"generate", "continue a prompt, or many", set_up_generate},
    {"translate", "write a text in another language, with a model trained on pairs", set_up_translate},
    {"finetune", "teach a trained model to tell texts apart, or to give them numbers, by a labelled file",
     set_up_finetune},
    {"predict", "labels of texts, by a model that was fine-tuned", set_up_predict},
    {"search", "find what stands at the searched places of a layout, under a budget", set_up_search},
    {"compare", "what differs between runs, what came out, what it took, and whether it is real", set_up_compare},
    {"inspect", "a look inside: who reads whom, what is kept, how far back, how large gradients are", set_up_inspect},
    {"info", "parameters, FLOPs and memory of a run or configuration; without argument: this machine", set_up_info},
    {"import", "weights of other programs as a model: Transformer-XL's, BERT's, GPT-2's, Llama's", set_up_import},
    {"data", "prepare, inspect and verify corpora", set_up_data},
    {"bench", "speed as a share of this machine's measured ceiling", set_up_bench},
};

// How the program names what its texts speak of.
constexpr Wording kWording = {.option = "--",
                              .setting = "--set ",
                              .any_setting = "--set",
                              .budget_options = true,
                              .first_choice = " ",
                              .next_choice = " "};

int tell(ExitCode code, const std::string& message) {
    log_progress("");
    std::cout.flush();  // what was printed before; a failure here would not be the first
    std::fprintf(stderr, "error: %s\n", for_terminal(message).c_str());
    return int(code);
}

// Only the first line of LibTorch's errors is for people.
int tell_torch(const c10::Error& error) {
    std::string text = error.what_without_backtrace();
    text = text.substr(0, text.find('\n'));
    bool memory = text.find("alloc") != std::string::npos || text.find("out of memory") != std::string::npos;
    if (memory)
        return tell(ExitCode::resources,
                    "out of memory: " + text + "\nhint: lower train.batch, train.length or model.memory");
    return tell(ExitCode::failed, text);
}

int parse_error(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
        app.exit(error);  // --help, --version
        return 0;
    }
    std::string hint = "lithe --help";
    for (const CLI::App* sub : app.get_subcommands()) hint = "lithe " + sub->get_name() + " --help";
    return tell(ExitCode::usage, std::string(error.what()) + "\nhint: " + hint);
}

void check_command(const std::vector<std::string>& arguments) {
    std::vector<std::string> names;
    for (const Command& command : kCommands) names.push_back(command.name);
    for (size_t i = 1; i < arguments.size(); ++i) {
        if (arguments[i].rfind("-", 0) == 0) continue;
        if (std::find(names.begin(), names.end(), arguments[i]) == names.end())
            fail_usage("unknown command '" + printable(arguments[i]) + "'" + did_you_mean(arguments[i], names), "",
                       "lithe --help");
        return;
    }
}

int run_checked(const std::vector<std::string>& arguments) {
    CLI::App app{"Lithe trains, evaluates and samples language models on a small compute budget.", "lithe"};
    CommandContext context;
    context.argv = arguments;
    bool quiet = false, verbose = false;
    app.set_version_flag("--version", std::string("lithe ") + version() + " (" + revision() + ")");
    app.require_subcommand(1);
    app.fallthrough();
    app.add_flag("--json", context.json, "print one JSON object as the last line of stdout");
    app.add_flag("-q,--quiet", quiet, "say nothing but warnings and errors");
    app.add_flag("-v,--verbose", verbose, "say more");
    app.footer(
        "Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 bad data or model file, 4 out of memory or disk,\n"
        "5 diverged, 75 stopped by a signal and resumable, 130 interrupted twice.");
    std::vector<std::pair<CLI::App*, CommandAction>> actions;
    for (const Command& command : kCommands) {
        CLI::App* sub = app.add_subcommand(command.name, command.description);
        actions.emplace_back(sub, command.set_up(*sub, context));
    }
    check_command(arguments);
    try {
        std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
        if (!reversed.empty()) reversed.pop_back();  // the program's name
        app.parse(reversed);
    } catch (const CLI::ParseError& error) { return parse_error(app, error); }
    set_log_level(quiet ? LogLevel::quiet : verbose ? LogLevel::verbose : LogLevel::normal);
    for (auto& [sub, action] : actions)
        if (sub->parsed()) return action();
    return int(ExitCode::usage);
}

}  // namespace

std::vector<std::string> BudgetFlags::with(std::vector<std::string> sets) const {
    for (const auto& [setting, value] : {std::pair("train.max_steps", &max_steps),
                                         {"train.max_tokens", &max_tokens},
                                         {"train.max_seconds", &max_time}})
        if (!value->empty()) sets.push_back(std::string(setting) + "=\"" + *value + "\"");
    return sets;
}

static constexpr const char* kLengthPenalty = "of a beam: scores are divided by the length to this power";

void add_length_penalty(CLI::App& app, double& value) {
    app.add_option("--length-penalty", value, kLengthPenalty)->capture_default_str()->check(number_between(0.0, 10.0));
}

void add_length_penalty(CLI::App& app, std::optional<double>& value) {
    app.add_option("--length-penalty", value, std::string(kLengthPenalty) + ", 1")->check(number_between(0.0, 10.0));
}

CLI::Validator number_between(double low, double high) {
    const std::string bounds = format_number(low) + " to " + format_number(high);
    auto check = [low, high, bounds](std::string& text) -> std::string {
        const char* begin = text.data() + (text.rfind('+', 0) == 0 ? 1 : 0);
        const char* end = text.data() + text.size();
        double value = 0;
        const auto [after, error] = std::from_chars(begin, end, value);
        const bool good = error == std::errc() && after == end && value >= low && value <= high;  // false for nan
        return good ? "" : "expected a number from " + bounds + ", got '" + printable(text) + "'";
    };
    return CLI::Validator(check, "NUMBER " + bounds);
}

std::string settings_help(const std::string& prefix) {
    std::string text;
    auto tell = [&](const std::string& path, const FieldDoc& field, const std::string& of) {
        if (path.rfind(prefix, 0) == 0)
            text +=
                "  " + path + " = " + field.default_value + "\n      " + of + field.help + " (" + field.type + ")\n";
    };
    for (const FieldDoc& field : list_config_fields()) tell(field.path, field, "");
    for (const ObjectiveKind& kind : objective_kinds()) {
        const auto options = kind.make_options();
        for (const FieldDoc& field : list_fields([&](FieldVisitor& v) { options->visit(v); }))
            tell("objective." + field.path, field, kind.name + std::string(": "));
    }
    return text;
}

void print_json(const std::string& command, nlohmann::ordered_json json) {
    nlohmann::ordered_json object = {{"schema", "lithe." + command + "/1"}};
    object.update(json);
    // what a terminal may take for a command of its own is escaped there
    const bool ascii = isatty(STDOUT_FILENO);
    std::cout << object.dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace) << std::endl;
}

int run_program(const std::vector<std::string>& arguments) {
    try {
        keep_standard_streams();
        set_wording(kWording);
        watch_signals();
        ops::initialize();
        StandardOutput output;
        const int code = run_checked(arguments);
        output.finish();
        return code;
    } catch (const std::ios_base::failure&) { return tell_output_failure(); } catch (const Error& error) {
        return tell(exit_code_of(error.kind()), error.what());
    } catch (const c10::Error& error) { return tell_torch(error); } catch (const std::bad_alloc&) {
        return tell(ExitCode::resources, "out of memory\nhint: lower train.batch, train.length or model.memory");
    } catch (const std::exception& error) { return tell(ExitCode::failed, error.what()); }
}

}  // namespace lithe

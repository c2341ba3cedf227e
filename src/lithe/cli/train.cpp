#include <filesystem>
#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/report/report.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer.h"

namespace lithe {
namespace {

struct Flags {
    std::string config, run, resume, max_steps, max_tokens, max_time;
    std::vector<std::string> sets;
    bool dry_run = false, print_config = false;
};

// Budgets on the command line are settings like any other.
std::vector<std::string> all_sets(const Flags& flags) {
    std::vector<std::string> sets = flags.sets;
    if (!flags.max_steps.empty()) sets.push_back("train.max_steps=\"" + flags.max_steps + "\"");
    if (!flags.max_tokens.empty()) sets.push_back("train.max_tokens=\"" + flags.max_tokens + "\"");
    if (!flags.max_time.empty()) sets.push_back("train.max_seconds=\"" + flags.max_time + "\"");
    return sets;
}

TrainOptions options_of(const Flags& flags, const CommandContext& context) {
    TrainOptions options;
    options.run = flags.run.empty() ? "runs/" + std::filesystem::path(flags.config).stem().string() : flags.run;
    options.dry_run = flags.dry_run;
    options.argv = context.argv;
    if (flags.resume == "never") options.resume = ResumeMode::never;
    else if (flags.resume == "required") options.resume = ResumeMode::required;
    else if (flags.resume != "auto") options.resume = ResumeMode::required, options.resume_from = flags.resume;
    return options;
}

nlohmann::ordered_json result_json(const TrainResult& result) {
    nlohmann::ordered_json json = {{"run", result.run},
                                   {"steps", result.state.step},
                                   {"tokens", result.state.tokens},
                                   {"seconds", result.state.train_seconds},
                                   {"stopped_by", result.stopped_by}};
    if (result.valid) json["valid"] = to_json(*result.valid, false);
    if (result.state.best_step >= 0)
        json["best"] = {{"bits_per_byte", result.state.best_bits}, {"step", result.state.best_step}};
    if (result.state.skipped > 0) json["skipped_updates"] = result.state.skipped;
    json["perf"] = {{"tokens_per_second", result.tokens_per_second},
                    {"flops_per_token", result.training_flops_per_token},
                    {"gflops", result.gflops},
                    {"peak_rss_bytes", peak_memory()}};
    return json;
}

int run(const Flags& flags, const CommandContext& context) {
    Config config = load_config(flags.config, all_sets(flags));
    if (flags.print_config) {
        std::cout << to_toml(config);
        return 0;
    }
    TrainOptions options = options_of(flags, context);
    Trainer trainer(std::move(config), options);
    TrainResult result = trainer.run();
    if (!options.dry_run) {
        log_info("stopped    by " + result.stopped_by + " after " + std::to_string(result.state.step) + " steps, " +
                 format_count(double(result.state.tokens)) + " tokens, " + format_seconds(result.state.train_seconds) +
                 " of training");
        write_report(options.run);
        if (result.stopped_by == "signal") log_info("resume     lithe train " + flags.config + " --run " + options.run);
        else
            log_info("next       lithe generate " + options.run + " --prompt \"The \"    (report: " + options.run +
                     "/report.html)");
    }
    if (context.json) print_json("train", result_json(result));
    else if (result.valid) std::cout << format_number(result.valid->bits_per_byte) << " bits per byte" << std::endl;
    return result.stopped_by == "signal" ? int(ExitCode::stopped) : 0;
}

}  // namespace

CommandAction set_up_train(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("config", flags->config, "configuration file (TOML), see configs/")->required();
    app.add_option("--run", flags->run, "run folder; default runs/<name of the configuration>");
    flags->resume = "auto";
    auto* resume = app.add_option("--resume", flags->resume,
                                  "auto: go on if the folder holds a run (default); never: refuse then; a path: from "
                                  "that checkpoint; without value: there must be one");
    resume->expected(0, 1);
    app.add_option("--set", flags->sets, "override a setting: --set optimizer.learning_rate=3e-3 (repeatable)")
        ->allow_extra_args(false);
    app.add_option("--max-steps", flags->max_steps, "stop after this many updates, as 20k");
    app.add_option("--max-tokens", flags->max_tokens, "stop after this many tokens, as 50M");
    app.add_option("--max-time", flags->max_time, "stop after this much training time, as 10m");
    app.add_flag("--dry-run", flags->dry_run, "check everything, print sizes and memory, train nothing");
    app.add_flag("--print-config", flags->print_config,
                 "print the resolved configuration with the origin of each value");
    std::string settings = "Settings (file sections, or --set section.key=value):\n";
    for (const FieldDoc& field : list_config_fields())
        settings +=
            "  " + field.path + " = " + field.default_value + "\n      " + field.help + " (" + field.type + ")\n";
    app.footer(settings);
    return [flags, resume, &context] {
        if (resume->count() > 0 &&
            (resume->results().empty() || resume->results()[0].empty() || resume->results()[0] == "true"))
            flags->resume = "required";
        return run(*flags, context);
    };
}

}  // namespace lithe

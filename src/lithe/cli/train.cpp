#include <filesystem>
#include <iostream>
#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/plan.h"
#include "lithe/report/report.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer.h"

namespace lithe {
namespace {

struct Flags {
    std::string config, run, resume;
    BudgetFlags budget;
    std::vector<std::string> sets;
    PlanFlags plan;
    bool dry_run = false, print_config = false;
    bool is_text() const { return std::filesystem::path(config).extension() != ".toml"; }
};

// "corpus" of "books/corpus.txt" and of "books/corpus/"
std::string run_name(const std::string& path) {
    std::filesystem::path normal = std::filesystem::path(path).lexically_normal();
    if (normal.filename().empty()) normal = normal.parent_path();
    const std::string name = normal.stem().string();
    return name.empty() || name == "." ? "run" : name;
}

TrainOptions options_of(const Flags& flags, const CommandContext& context) {
    TrainOptions options;
    options.run = flags.run.empty() ? "runs/" + run_name(flags.config) : flags.run;
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
                    {"peak_rss_bytes", peak_memory()},
                    {"expected_rss_bytes", result.expected_memory}};
    return json;
}

void check_plan_flags(const Flags& flags) {
    if (!flags.is_text() && flags.plan.given())
        fail_usage("--max-memory and --target-latency bound a plan; this configuration says what is trained",
                   flags.config, "lithe train TEXT --max-time 10m --max-memory 2G");
    if (flags.is_text() && (!flags.budget.max_steps.empty() || !flags.budget.max_tokens.empty()))
        fail_usage("a text is trained on by a plan, and plans are made for a time", flags.config,
                   "give --max-time, or a configuration: lithe plan TEXT --out plan.toml");
}

// The --max-time that a run was planned for, if it was.
std::optional<double> planned_seconds(const std::string& run) {
    const std::string path = run + "/plan.json";
    if (!std::filesystem::exists(path)) return std::nullopt;
    const auto plan = try_parse_json<nlohmann::json>(read_file(path, 1 << 20)).value_or(nullptr);
    const nlohmann::json::json_pointer place("/limits/seconds");
    if (!plan.is_object() || !plan.contains(place) || !plan[place].is_number()) return std::nullopt;
    return plan[place].get<double>();
}

// The configuration of a planned run: that of the run folder, when it holds one, else a new plan.
Config planned(const Flags& flags, const TrainOptions& options, std::string& plan_record) {
    const std::string before = options.run + "/config.toml";
    if (options.resume != ResumeMode::never && std::filesystem::exists(before)) {
        log_info("plan       as before, " + before);
        BudgetFlags budget = flags.budget;
        // the plan may use less than the time that it was made for
        if (parse_seconds(budget.max_time) == planned_seconds(options.run)) budget.max_time.clear();
        std::vector<std::string> sets = flags.sets;
        if (!budget.max_time.empty() || states_the_time(sets)) sets.insert(sets.begin(), "train.max_tokens=0");
        return load_config(before, budget.with(sets));
    }
    const PlanRequest request = plan_request(flags.config, flags.budget.max_time, flags.plan, flags.sets);
    const Plan plan = make_plan(request);
    std::istringstream lines(plan_text(plan, request));
    for (std::string line; std::getline(lines, line);) log_info(line);
    plan_record = plan_json(plan, request).dump(2) + "\n";
    return plan.config;
}

int run(const Flags& flags, const CommandContext& context) {
    check_plan_flags(flags);
    TrainOptions options = options_of(flags, context);
    std::string plan_record;
    Config config = flags.is_text() ? planned(flags, options, plan_record)
                                    : load_config(flags.config, flags.budget.with(flags.sets));
    if (flags.print_config) {
        std::cout << to_toml(config);
        return 0;
    }
    const bool encoder = config.model.direction == "bidirectional";
    Trainer trainer(std::move(config), options);
    if (!plan_record.empty() && !options.dry_run) replace_file(options.run + "/plan.json", plan_record);
    TrainResult result = trainer.run();
    if (!options.dry_run) {
        log_info("stopped    by " + result.stopped_by + " after " + std::to_string(result.state.step) + " steps, " +
                 format_count(double(result.state.tokens)) + " tokens, " + format_seconds(result.state.train_seconds) +
                 " of training");
        write_report(options.run);
        if (result.stopped_by == "signal") log_info("resume     lithe train " + flags.config + " --run " + options.run);
        else
            log_info("next       lithe " +
                     (encoder ? "eval " + options.run : "generate " + options.run + " --prompt \"The \"") +
                     "    (report: " + options.run + "/report.html)");
    }
    if (context.json) print_json("train", result_json(result));
    else if (result.valid) std::cout << format_number(result.valid->bits_per_byte) << " bits per byte" << std::endl;
    return result.stopped_by == "signal" ? int(ExitCode::stopped) : 0;
}

}  // namespace

CommandAction set_up_train(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("config", flags->config,
                   "configuration file (.toml), see configs/; or a text, folder or token set: a model is planned for "
                   "--max-time")
        ->required();
    app.add_option("--run", flags->run, "run folder; default runs/<name of the configuration or text>");
    flags->resume = "auto";
    auto* resume = app.add_option("--resume", flags->resume,
                                  "auto: go on if the folder holds a run (default); never: refuse then; a path: from "
                                  "that checkpoint; without value: there must be one");
    resume->expected(0, 1);
    app.add_option("--set", flags->sets, "override a setting: --set optimizer.learning_rate=3e-3 (repeatable)")
        ->allow_extra_args(false);
    app.add_option("--max-steps", flags->budget.max_steps, "stop after this many updates, as 20k");
    app.add_option("--max-tokens", flags->budget.max_tokens, "stop after this many tokens, as 50M");
    app.add_option("--max-time", flags->budget.max_time, "stop after this much training time, as 10m");
    flags->plan.add_to(app);
    app.add_flag("--dry-run", flags->dry_run, "check everything, print sizes and memory, train nothing");
    app.add_flag("--print-config", flags->print_config,
                 "print the resolved configuration with the origin of each value");
    app.footer("Settings (file sections, or --set section.key=value):\n" + settings_help());
    return [flags, resume, &context] {
        if (resume->count() > 0 &&
            (resume->results().empty() || resume->results()[0].empty() || resume->results()[0] == "true"))
            flags->resume = "required";
        return run(*flags, context);
    };
}

}  // namespace lithe

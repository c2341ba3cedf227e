#include <cmath>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/configuration.h"
#include "lithe/cli/exit_code.h"
#include "lithe/cli/output.h"
#include "lithe/cli/plan.h"
#include "lithe/cli/signals.h"
#include "lithe/data/named_paths.h"
#include "lithe/data/own_folders.h"
#include "lithe/formats/token_set.h"
#include "lithe/plan/promise.h"
#include "lithe/report/numbers.h"
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
    bool is_run() const { return RunFolder::looks_like(config); }  // which goes on by its own settings
    bool is_text() const { return !is_run() && !is_configuration(config); }
};

// Folders of lithe's own that are no text; a run goes on, and a token set is trained on.
void refuse_other_folders(const Flags& flags) {
    if (TokenSet::looks_like(flags.config)) return;
    const auto own = own_folder(flags.config);
    if (own && !(own->kind == OwnKind::run && flags.is_run())) refuse_own_folder(flags.config);
}

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
    if (flags.is_run()) options.run = flags.config;
    else options.source = absolute_path(flags.config);
    while (options.run.size() > 1 && options.run.back() == '/') options.run.pop_back();
    options.dry_run = flags.dry_run;
    options.argv = context.argv;
    options.stop = stop_by_signal();
    options.save_asked = take_save_request;
    if (flags.resume == "never") options.resume = ResumeMode::never;
    else if (flags.resume == "required") options.resume = ResumeMode::required;
    else if (flags.resume != "auto") {
        options.resume = ResumeMode::required;
        options.resume_from = flags.resume;
    }
    return options;
}

nlohmann::ordered_json result_json(const TrainResult& result) {
    nlohmann::ordered_json json = {{"run", result.run},
                                   {"steps", result.state.step},
                                   {"tokens", result.state.tokens},
                                   {"seconds", result.state.train_seconds},
                                   {"stopped_by", result.stopped_by}};
    if (result.valid) json["valid"] = to_json(*result.valid, false);
    if (result.best) json["best"] = {{result.best->kind.name, result.best->value}, {"step", result.best_step}};
    if (result.skipped > 0) json["skipped_updates"] = result.skipped;
    json["perf"] = {{"tokens_per_second", result.tokens_per_second},
                    {"flops_per_token", result.training_flops_per_token},
                    {"gflops", result.gflops},
                    {"peak_rss_bytes", peak_memory()},
                    {"expected_rss_bytes", result.expected_memory}};
    return json;
}

void check_flags(const Flags& flags) {
    require_utf8_path(flags.config, "train");
    require_utf8_path(flags.run, "--run");
    refuse_other_folders(flags);
    if (flags.is_run() && !flags.run.empty())
        fail_usage("a run goes on in its own folder", "--run",
                   "leave --run out; a new run: lithe train " + shell_quoted(flags.config + "/config.toml") +
                       " --run " + shell_quoted(flags.run));
    if (!flags.is_text() && !flags.plan.latency.empty())
        fail_usage("--target-latency bounds a plan; this configuration says what is trained", flags.config,
                   "lithe train TEXT --max-time 10m --target-latency 0.5ms");
    if (flags.is_text() && (!flags.budget.max_steps.empty() || !flags.budget.max_tokens.empty()))
        fail_usage("a text is trained on by a plan, and plans are made for a time", flags.config,
                   "give --max-time, or a configuration: lithe plan TEXT --out plan.toml");
}

// What a run was planned for, if it was planned.
struct Limits {
    double seconds = 0, memory = 0, latency = 0;
};
std::optional<Limits> planned_limits(const std::string& run) {
    const std::string path = run + "/plan.json";
    if (!std::filesystem::exists(path)) return std::nullopt;
    const auto plan = try_parse_json<nlohmann::json>(read_file(path, 1 << 20)).value_or(nullptr);
    auto limit = [&](const char* name) {
        const nlohmann::json::json_pointer place(std::string("/limits/") + name);
        return plan.is_object() && plan.contains(place) && plan[place].is_number() ? plan[place].get<double>() : 0;
    };
    return Limits{limit("seconds"), limit("memory_bytes"), limit("latency_seconds")};
}

// The settings of a run that goes on: its own, then `sets` and the budgets of the command.
Config config_of_run(const std::string& run, const Flags& flags, std::vector<std::string> sets) {
    const std::string path = run + "/config.toml";
    BudgetFlags budget = flags.budget;
    if (const auto limits = planned_limits(run)) {
        // the plan may use less than the time that it was made for
        if (parse_seconds(budget.max_time) == limits->seconds && load_config(path).train.max_seconds <= limits->seconds)
            budget.max_time.clear();
        if (!budget.max_time.empty() || states_the_time(sets)) sets.insert(sets.begin(), "train.max_tokens=0");
    }
    return load_config(path, budget.with(sets));
}

// Whether the run of a text goes on by the plan in its folder.
bool goes_on_as_planned(const Flags& flags, const TrainOptions& options) {
    const std::string before = options.run + "/config.toml";
    if (options.resume == ResumeMode::never || !std::filesystem::exists(before)) return false;
    const bool trained = !list_checkpoints(options.run).empty();
    if (planned_limits(options.run))
        return trained || with_absolute_paths(load_config(before)).data.path == options.source;
    if (trained)
        fail_usage(
            "the run in this folder was not planned for a text; it was begun with " + RunFolder::source(options.run),
            options.run,
            "give " + flags.config + " a run of its own with --run FOLDER; that one goes on with: lithe train " +
                shell_quoted(options.run));
    return false;
}

// The configuration of a planned run: that of the run folder, when it holds one, else a new plan.
Config planned(const Flags& flags, const TrainOptions& options, std::string& plan_record) {
    const PlanRequest request = plan_request(flags.config, flags.budget.max_time, flags.plan, flags.sets);
    if (goes_on_as_planned(flags, options)) {
        log_info("plan       as before, " + options.run + "/config.toml");
        const Limits limits = *planned_limits(options.run);
        if (flags.plan.given() && (request.memory != limits.memory || request.latency != limits.latency))
            log_warning("the plan stays what it was: --max-memory and --target-latency bound a new one, with --run");
        std::vector<std::string> sets = flags.sets;
        sets.insert(sets.begin(), data_path_setting(flags.config));  // the text may have moved; another one is refused
        return config_of_run(options.run, flags, sets);
    }
    if (!options.dry_run) RunFolder::check_place(options.run, options.resume == ResumeMode::never);
    const Plan plan = make_plan(request);
    std::istringstream lines(plan_text(plan, request));
    for (std::string line; std::getline(lines, line);) log_info(line);
    plan_record = plan_json(plan, request).dump(2) + "\n";
    return plan.config;
}

Config config_of(const Flags& flags, const TrainOptions& options, std::string& plan_record) {
    if (flags.is_text()) return planned(flags, options, plan_record);
    std::vector<std::string> sets = flags.sets;
    if (!flags.plan.memory.empty())
        for (const std::string& set : sets)
            if (set.rfind("train.recompute=", 0) == 0 || set.rfind("train.max_memory=", 0) == 0)
                fail_usage(
                    "--max-memory chooses how activations are recomputed, and --set " + printable(set) + " does, too",
                    "--max-memory", "leave one of them out");
    if (!flags.plan.memory.empty())
        sets.insert(sets.end(), {"train.recompute=memory",
                                 "train.max_memory=" + std::to_string(int64_t(parse_memory(flags.plan.memory)))});
    if (flags.is_run()) return config_of_run(options.run, flags, std::move(sets));
    return load_config(flags.config, flags.budget.with(std::move(sets)));
}

// What the run in this folder was promised by its plan, if it was.
std::optional<Promise> promised(const std::string& run) {
    const std::string path = run + "/plan.json";
    if (!std::filesystem::exists(path)) return std::nullopt;
    return promise_of(try_parse_json<nlohmann::json>(read_file(path, 1 << 20)).value_or(nullptr));
}

// Whether an evaluation is of the bytes that the promise is about; the first of them is not scored.
bool is_about(const Promise& promise, const EvaluationResult& result) {
    return result.score.kind == ScoreKind() && result.protocol.split == "valid" &&
           result.bytes + 1 == promise.first_bytes;
}

// A first evaluation knows more of a text than the plan did.
void tell_expectation(const Promise& promise, const EvaluationResult& result, const TrainerState& state,
                      double progress) {
    if (!is_about(promise, result) || progress < 0.05 || progress > 0.95) return;
    const double tokens = double(state.tokens);
    log_info("expected   " + prediction_text(corrected(promise, tokens, tokens / progress, result.bits_per_byte)) +
             " at the end; the plan said " + prediction_text(promise.expected));
}

void tell_outcome(const Promise& promise, const EvaluationResult& result) {
    const Prediction& expected = promise.expected;
    const bool held = result.bits_per_byte >= expected.low && result.bits_per_byte <= expected.high;
    log_info("reached    " + format_number(std::round(result.bits_per_byte * 1e4) / 1e4) + " bits per byte, " +
             (held ? "within what" : "outside of what") + " the plan said: " + prediction_text(expected) +
             "; both of the first " + std::to_string(promise.first_bytes) + " bytes of validation");
}

// What to type next; every setting stands in the run's folder.
std::string next_command(const TrainResult& result, bool writes) {
    if (result.stopped_by == "signal") return "resume     lithe train " + shell_quoted(absolute_path(result.run));
    const std::string run = shell_quoted(result.run);
    return std::string("next       lithe ") + (writes ? "generate " : "eval ") + run +
           "    (report: " + shell_quoted(result.run + "/report.html") + ")";
}

int run(const Flags& flags, const CommandContext& context) {
    check_flags(flags);
    TrainOptions options = options_of(flags, context);
    std::string plan_record;
    Config config = config_of(flags, options, plan_record);
    if (flags.print_config) {
        std::cout << on_terminal(to_toml(config));
        return 0;
    }
    std::optional<Promise> promise;
    options.on_evaluation = [&promise](const auto& result, const auto& state, double progress) {
        if (promise) tell_expectation(*promise, result, state, progress);
    };
    Trainer trainer(std::move(config), options);
    if (!plan_record.empty() && !options.dry_run) replace_file(options.run + "/plan.json", plan_record);
    promise = promised(options.run);
    TrainResult result = trainer.run();
    if (!options.dry_run) {
        log_info("stopped    by " + result.stopped_by + " after " + std::to_string(result.state.step) + " steps, " +
                 format_count(double(result.state.tokens)) + " tokens, " + format_seconds(result.state.train_seconds) +
                 " of training");
        write_report(options.run);
        if (promise && result.valid && result.stopped_by != "signal" && is_about(*promise, *result.valid))
            tell_outcome(*promise, *result.valid);
        log_info(next_command(result, trainer.writes_text()));
    }
    nlohmann::ordered_json json = result_json(result);
    if (promise)
        json["expected"] = {{"bits_per_byte", promise->expected.bits},
                            {"low", promise->expected.low},
                            {"high", promise->expected.high},
                            {"first_bytes", promise->first_bytes}};
    if (context.json) print_json("train", json);
    else if (result.valid)
        std::cout << fixed_digits(result.valid->score.value, 4) << " " << result.valid->score.kind.unit << std::endl;
    return result.stopped_by == "signal" ? int(ExitCode::stopped) : 0;
}

}  // namespace

CommandAction set_up_train(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("config", flags->config,
                   "configuration file (.toml), see configs/; or a text, folder or token set: a model is planned for "
                   "--max-time; or a run's folder: the run goes on with its own settings and budgets")
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

#include "lithe/cli/plan.h"

#include <filesystem>
#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/configuration.h"
#include "lithe/cli/output.h"
#include "lithe/cli/signals.h"
#include "lithe/data/named_paths.h"
#include "lithe/data/own_folders.h"
#include "lithe/formats/token_set.h"
#include "lithe/plan/run_cost.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace {

struct Flags {
    std::string text, max_time, out;
    std::vector<std::string> sets;
    PlanFlags plan;
};

double parse_latency(const std::string& text) {
    const bool milli = text.size() > 2 && text.substr(text.size() - 2) == "ms";
    const auto value = parse_seconds(milli ? text.substr(0, text.size() - 2) : text);
    if (!value || *value <= 0)
        fail({.kind = ErrorKind::usage,
              .what = "not a time per token",
              .where = "--target-latency",
              .expected = "a time, as 0.5ms or 0.001s",
              .got = printable(text)});
    return milli ? *value / 1e3 : *value;
}

// What a configuration's training takes here; it says itself what is trained.
int configuration_cost(const Flags& flags, const CommandContext& context) {
    const auto refuse = [&](bool given, const char* flag) {
        if (given)
            fail_usage("a configuration says itself what is trained", flag,
                       "leave it out, or change a setting: --set train.max_seconds=600");
    };
    refuse(!flags.max_time.empty(), "--max-time");
    refuse(!flags.plan.memory.empty(), "--max-memory");
    refuse(!flags.plan.latency.empty(), "--target-latency");
    refuse(!flags.out.empty(), "--out");
    const Config config = checked_configuration(flags.text, flags.sets);
    const RunCost cost = measure_run_cost(config, vocabulary_to_train(config, flags.text), stop_by_signal());
    if (context.json) print_json("run_cost", run_cost_json(cost, config));
    else std::cout << for_terminal(run_cost_text(cost, config)) << std::flush;
    return 0;
}

int run(const Flags& flags, const CommandContext& context) {
    if (is_configuration(flags.text)) return configuration_cost(flags, context);
    require_utf8_path(flags.text, "plan");
    require_utf8_path(flags.out, "--out");
    if (!TokenSet::looks_like(flags.text)) refuse_own_folder(flags.text);
    if (!flags.out.empty()) check_writable(std::filesystem::path(flags.out).parent_path().string());
    const PlanRequest request = plan_request(flags.text, flags.max_time, flags.plan, flags.sets);
    Plan plan = make_plan(request);
    plan.config = with_absolute_paths(std::move(plan.config));
    if (!flags.out.empty()) {
        write_result(flags.out, to_toml(plan.config), "# the plan");
        log_info("written    " + flags.out + "    (train it: lithe train " + shell_quoted(flags.out) + ")");
    }
    if (context.json) {
        nlohmann::ordered_json json = plan_json(plan, request);
        json["config"] = to_toml(plan.config);
        print_json("plan", json);
    } else {
        std::cout << for_terminal(plan_text(plan, request)) << std::flush;
    }
    return 0;
}

}  // namespace

double parse_memory(const std::string& text) {
    std::string number = text;
    while (!number.empty() && (number.back() == 'B' || number.back() == 'b')) number.pop_back();
    const bool binary = !number.empty() && number.back() == 'i';
    if (binary) number.pop_back();
    auto count = parse_count(number);
    if (!count || *count == 0)
        fail({.kind = ErrorKind::usage,
              .what = "not an amount of memory",
              .where = "--max-memory",
              .expected = "bytes, as 800M, 2G or 2GiB",
              .got = printable(text)});
    double value = double(*count);
    if (binary)
        for (double unit : {1e9, 1e6, 1e3})
            if (value >= unit) {
                value *= unit == 1e9 ? 1.073741824 : unit == 1e6 ? 1.048576 : 1.024;
                break;
            }
    return value;
}

void PlanFlags::add_to(CLI::App& app) {
    app.add_option(
        "--max-memory", memory,
        "as 2G: a plan keeps within it, a configuration recomputes activations; default: what the machine has");
    app.add_option("--target-latency", latency, "at most this much per generated token of a planned model, as 0.5ms");
}

std::string data_path_setting(const std::string& path) {
    return "data.path=" + nlohmann::json(path).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

PlanRequest plan_request(const std::string& text, const std::string& max_time, const PlanFlags& flags,
                         std::vector<std::string> sets) {
    PlanRequest request;
    if (!max_time.empty()) {
        const auto seconds = parse_seconds(max_time);
        if (!seconds)
            fail({.kind = ErrorKind::usage,
                  .what = "not a time",
                  .where = "--max-time",
                  .expected = "a time, as 90s, 10m or 1.5h",
                  .got = printable(max_time)});
        request.seconds = *seconds;
    }
    if (!flags.memory.empty()) request.memory = parse_memory(flags.memory);
    if (!flags.latency.empty()) request.latency = parse_latency(flags.latency);
    sets.insert(sets.begin(), data_path_setting(text));
    request.settings = std::move(sets);
    request.stop = stop_by_signal();
    return request;
}

CommandAction set_up_plan(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("text", flags->text,
                   "what to train on: a text file, a folder, an archive, a token set; or a configuration (.toml)")
        ->required();
    app.add_option("--max-time", flags->max_time, "of training at most, as 10m (the default)");
    flags->plan.add_to(app);
    app.add_option("--set", flags->sets, "a setting that wins over the plan: --set data.split=80/10/10 (repeatable)")
        ->allow_extra_args(false);
    app.add_option("--out", flags->out, "write the planned configuration (TOML) to this file");
    app.footer(
        "Measures this machine and the text for some seconds, trains nothing. docs/planner.md tells how.\n"
        "Of a configuration it says what its training takes here: time, memory, FLOPs. Its data need not be there "
        "where it names model.vocabulary_size.");
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe

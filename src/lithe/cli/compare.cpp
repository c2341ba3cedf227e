#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/cli/output.h"
#include "lithe/model/cost.h"
#include "lithe/objectives/objective.h"
#include "lithe/plan/measure.h"
#include "lithe/report/comparison.h"
#include "lithe/report/page.h"

namespace lithe {
namespace {

struct Flags {
    std::vector<std::string> runs;
    std::string html;
    double price = -1, watts = -1, carbon = -1;
    bool latency = false;
};

std::optional<double> given(double value) { return value < 0 ? std::nullopt : std::optional(value); }

// What follows from the configuration alone, and with `latency` what this machine makes of it.
void fill_costs(RunRecord& run, bool latency) {
    Config config = run.config;
    if (config.model.vocabulary_size <= 0) return;
    const Models models = models_to_count(config, config.model.vocabulary_size);
    const ModelCost cost = count_cost(models, cost_shape(config));
    run.parameters = cost.parameters;
    run.flops_per_token = cost.flops_per_token;
    run.training_flops_per_token = cost.training_flops_per_token;
    const bool writes = config.model.direction == Direction::causal && models.main().has_head();
    if (!latency || !writes) return;
    config.train.threads = 0;  // of this machine, not of the one that trained
    config.train.device = DeviceKind::automatic;
    const Machine machine = set_up_machine(config.train);
    run.milliseconds = 1e3 * measure_latency(config, config.model.vocabulary_size, machine);
    log_verbose("latency    " + run.name + ": " + std::to_string(*run.milliseconds) + " ms per token");
}

int run(const Flags& flags, const CommandContext& context) {
    std::vector<RunRecord> runs;
    for (const std::string& folder : flags.runs) {
        runs.push_back(read_run_record(folder));
        fill_costs(runs.back(), flags.latency);
    }
    const Comparison comparison =
        compare_runs(std::move(runs), {given(flags.price), given(flags.watts), given(flags.carbon)});
    if (!flags.html.empty()) {
        write_result(flags.html, comparison_page(comparison), kPageMark);
        log_info("page       " + flags.html);
    }
    if (context.json) print_json("compare", comparison_json(comparison));
    else std::cout << for_terminal(comparison_text(comparison)) << std::flush;
    return 0;
}

}  // namespace

CommandAction set_up_compare(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("runs", flags->runs, "run folders")->required();
    app.add_option("--html", flags->html, "write one self-contained page to this file");
    app.add_flag("--latency", flags->latency, "measure generation of each on this machine (seconds)");
    app.add_option("--price", flags->price, "price of an hour of training, in any currency")
        ->check(number_between(0.0, 1e12));
    app.add_option("--watts", flags->watts,
                   "power of the machine while it trains, for runs whose energy was not measured")
        ->check(number_between(0.0, 1e12));
    app.add_option("--carbon", flags->carbon, "grams of CO2 per kWh")->check(number_between(0.0, 1e12));
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe

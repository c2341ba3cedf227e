#include <filesystem>
#include <iostream>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/command.h"
#include "lithe/cli/exit_code.h"
#include "lithe/cli/signals.h"
#include "lithe/data/named_paths.h"
#include "lithe/search/search.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace {

struct Flags {
    std::string config, run;
    std::optional<SearchMethod> method;
    BudgetFlags budget;
    std::vector<std::string> sets;
};

int run(const Flags& flags, const CommandContext& context) {
    require_utf8_path(flags.config, "search");
    std::vector<std::string> sets = flags.budget.with(flags.sets);
    if (flags.method) sets.push_back("search.method=\"" + name_of(*flags.method) + "\"");
    const bool goes_on = is_search_folder(flags.config);
    if (goes_on && !flags.run.empty()) fail_usage("a search goes on in its own folder", "--run", "leave --run out");
    const Config config = load_config(goes_on ? flags.config + "/config.toml" : flags.config, sets);
    const std::string folder = goes_on ? flags.config
                               : flags.run.empty()
                                   ? "runs/search-" + std::filesystem::path(flags.config).stem().string()
                                   : flags.run;
    const SearchResult result =
        run_search(config, folder, {.argv = context.argv, .stop = stop_by_signal(), .save_asked = take_save_request});
    const bool stopped = result.stopped_by == "signal";
    if (result.rank && result.rank->place > 1) log_warning(result.rank->sentence);
    else if (result.rank) log_info("rank       " + result.rank->sentence);
    if (stopped) log_info("resume     lithe search " + shell_quoted(absolute_path(folder)));
    else
        log_info("next       lithe train " + shell_quoted(folder + "/found.toml") + "    (page: " + folder +
                 "/search.html)");
    if (context.json) print_json("search", to_json(result, config));
    else if (!stopped) std::cout << result.layout << std::endl;
    return stopped ? int(ExitCode::stopped) : 0;
}

}  // namespace

CommandAction set_up_search(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("config", flags->config,
                   "configuration file whose layout has searched places, as (?)x8; or a search's folder, which goes on")
        ->required();
    app.add_option("--run", flags->run, "folder of the search; default runs/search-<name of the configuration>");
    add_choice(app, "--method", flags->method, "gumbel, random or evolution; as search.method",
               {SearchMethod::gumbel, SearchMethod::random, SearchMethod::evolution});
    app.add_option("--set", flags->sets, "override a setting: --set search.cost=latency (repeatable)")
        ->allow_extra_args(false);
    app.add_option("--max-steps", flags->budget.max_steps, "gumbel: updates of the network with all candidates");
    app.add_option("--max-tokens", flags->budget.max_tokens,
                   "gumbel: tokens of that network; else of all trials together");
    app.add_option(
        "--max-time", flags->budget.max_time,
        "of the whole search, over all its starts, as 30m; gumbel with search.retrain_tokens: half of it for "
        "the network, the rest for training the result and what it is compared with");
    app.footer("Settings (section [search] of the file, or --set search.key=value):\n" + settings_help("search."));
    return [flags, &context] { return run(*flags, context); };
}

}  // namespace lithe

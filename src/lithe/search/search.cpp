#include "lithe/search/search.h"

#include <cmath>
#include <filesystem>

#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/data/named_paths.h"
#include "lithe/report/report.h"
#include "lithe/report/search_page.h"
#include "lithe/search/costs.h"
#include "lithe/search/evolution.h"
#include "lithe/spec/config_io.h"
#include "lithe/spec/slots.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

class Search {
 public:
    Search(const Config& config, std::string folder, const std::vector<std::string>& argv)
        : config_(with_absolute_paths(config)),
          folder_(std::move(folder)),
          argv_(argv),
          layout_(decoder_layout(config)),
          places_(slot_places(layout_)) {}

    SearchResult run() {
        check();
        check_writable(folder_);
        make_folders(folder_);
        FileLock lock(folder_ + "/lock", "another search runs in this folder");
        compare_config();
        set_up_costs();
        keep_settings();
        journal_.emplace(folder_);
        result_.stopped_by = "finished";
        const bool done = config_.search.method == "gumbel" ? gumbel() : trials();
        if (!done) result_.stopped_by = "signal";
        result_.trials = journal_->trials();
        if (done) write_result();
        write_search_page(folder_);
        return std::move(result_);
    }

 private:
    void check() const {
        Problems problems;
        const SearchConfig& s = config_.search;
        const TrainConfig& t = config_.train;
        if (places_.empty())
            problems.add("the layout has no searched place ('?')", "model.layout", "as in (?)x8 or s?{f u -}f");
        if (s.method != "gumbel" && s.trial_tokens <= 0)
            problems.add("search.method = \"" + s.method + "\" trains many layouts: how long each?",
                         "search.trial_tokens");
        if (s.method != "gumbel" && t.max_tokens <= 0 && t.max_seconds <= 0)
            problems.add("how long may the search take in all?", "train", "give --max-tokens or --max-time");
        if (s.method == "gumbel" && t.max_tokens <= 0 && t.max_seconds <= 0 && t.max_steps <= 0)
            problems.add("a search needs a budget", "train", "give --max-steps, --max-tokens or --max-time");
        if (s.budget > 0 && s.cost == "none") problems.add("a budget of what?", "search.budget", "set search.cost");
        for (const std::string& baseline : s.baselines) {
            Config concrete = trial_config(config_, baseline, 1);
            check_model(concrete, problems);
        }
        Config supernet = config_;
        supernet.search.supernet = true;
        if (!places_.empty()) check_model(supernet, problems);
        problems.throw_if_any("search");
    }

    // The settings of a search stay what they were when it began.
    void compare_config() const {
        const std::string path = folder_ + "/config.toml";
        if (!fs::exists(path)) return;
        std::vector<std::string> refused;
        for (const std::string& difference : differences(with_absolute_paths(load_config(path)), config_))
            if (difference.rfind("train.max_", 0) != 0 && difference.rfind("search.retrain", 0) != 0 &&
                difference.rfind("search.baselines", 0) != 0 && difference.rfind("search.random_layouts", 0) != 0)
                refused.push_back(difference);
        if (!refused.empty())
            fail_usage("the search cannot go on with other settings:\n  - " + join(refused, "\n  - "), folder_,
                       "restore them, or start a new one with --run");
    }

    void set_up_costs() {
        if (fs::exists(folder_ + "/costs.json")) {
            costs_ = read_costs(folder_ + "/costs.json", config_);
        } else {
            const Machine machine = machine_here();
            costs_ = measure_costs(config_, vocabulary(), machine);
        }
        if (config_.search.cost == "none") return;
        log_info("costs      " + config_.search.cost + " from " + format_number(costs_.cheapest()) + " to " +
                 format_number(costs_.dearest()));
        if (config_.search.budget > 0 && costs_.cheapest() > config_.search.budget)
            fail({.code = ExitCode::usage,
                  .what = "no layout meets the budget",
                  .where = "search.budget",
                  .expected =
                      "at least " + format_number(costs_.cheapest()) + ", the cheapest layout's " + config_.search.cost,
                  .got = format_number(config_.search.budget)});
    }

    // Once nothing is wrong with them.
    void keep_settings() const {
        if (!fs::exists(folder_ + "/costs.json")) write_costs(folder_ + "/costs.json", config_, costs_);
        // budgets may be others now: what stands there is what goes on
        const std::string path = folder_ + "/config.toml";
        if (!fs::exists(path) || !differences(load_config(path), config_).empty()) replace_file(path, to_toml(config_));
    }

    double cost_of(const std::vector<int64_t>& choices) const { return costs_.slots.empty() ? 0 : costs_.of(choices); }
    std::string text_of(const std::vector<int64_t>& choices) const {
        return to_string(choose_layout(layout_, choices));
    }

    // False when a stop was asked for.
    bool gumbel() {
        Config supernet = config_;
        supernet.search.supernet = true;
        supernet.sample.tokens = 0;
        supernet.search.baselines.clear();  // what is trained later is not the network's business
        supernet.search.retrain_tokens = 0, supernet.search.random_layouts = 0;
        TrainOptions options;
        options.run = folder_ + "/supernet";
        options.argv = argv_;
        if (!costs_.slots.empty()) options.costs = costs_;
        Trainer trainer(supernet, options);
        const TrainResult trained = trainer.run();
        if (trained.stopped_by == "signal") return false;
        write_report(options.run);
        if (!trained.choices) fail_usage("no layout meets the budget", "search.budget");
        take(*trained.choices);
        log_info("found      " + result_.layout + " (" + trained.stopped_by + ")");
        return config_.search.retrain_tokens == 0 || retrain(*trained.choices);
    }

    void take(const std::vector<int64_t>& choices) {
        result_.layout = text_of(choices);
        result_.cost = cost_of(choices);
    }

    // Layouts that cost as much as the result within 5 %; fewer when there are not enough.
    std::vector<std::vector<int64_t>> random_equals(const std::vector<int64_t>& choices) const {
        std::vector<std::vector<int64_t>> found;
        std::set<std::vector<int64_t>> seen{choices};
        const uint64_t key = combine_key(uint64_t(config_.train.seed), "random layouts");
        for (uint64_t draw = 0; draw < 200'000 && int64_t(found.size()) < config_.search.random_layouts; ++draw) {
            std::vector<int64_t> other;
            for (size_t place = 0; place < places_.size(); ++place)
                other.push_back(
                    int64_t(random_unit(combine_key(key, draw), place) * double(places_[place].candidates.size())));
            if (!costs_.slots.empty() && std::abs(cost_of(other) - cost_of(choices)) > 0.05 * cost_of(choices))
                continue;
            if (seen.insert(other).second) found.push_back(std::move(other));
        }
        if (int64_t(found.size()) < config_.search.random_layouts)
            log_warning("only " + std::to_string(found.size()) + " random layouts cost as much as the result");
        return found;
    }

    Machine machine_here() const {
        TrainConfig train = config_.train;
        return set_up_machine(train);
    }
    int64_t vocabulary() const { return checked_vocabulary(config_, Corpus::open(config_.data).tokenizer()); }

    bool retrain(const std::vector<int64_t>& choices) {
        const int64_t tokens = config_.search.retrain_tokens;
        std::vector<Trial> list = {{0, "found", result_.layout, tokens, result_.cost}};
        const bool priced = config_.search.cost != "none" && !config_.search.baselines.empty();
        const Machine machine = machine_here();
        const int64_t size = priced ? vocabulary() : 0;
        for (const std::string& baseline : config_.search.baselines)
            list.push_back({0, "baseline", baseline, tokens, cost_of_layout(config_, costs_, baseline, size, machine)});
        for (const auto& other : random_equals(choices))
            list.push_back({0, "random", text_of(other), tokens, cost_of(other)});
        for (Trial& trial : list)
            if (!run_trial(config_, folder_, *journal_, trial, argv_)) return false;
        result_.bits_per_byte = list[0].bits_per_byte;
        return true;
    }

    bool budget_left() const {
        double tokens = 0, seconds = 0;
        for (const Trial& trial : journal_->trials()) tokens += double(trial.tokens), seconds += trial.seconds;
        const TrainConfig& t = config_.train;
        return (t.max_tokens <= 0 || tokens < double(t.max_tokens)) && (t.max_seconds <= 0 || seconds < t.max_seconds);
    }

    bool trials() {
        std::vector<int64_t> sizes;
        for (const SlotPlace& place : places_) sizes.push_back(int64_t(place.candidates.size()));
        TrialSource source(config_.search, sizes, uint64_t(config_.train.seed), [&](const auto& choices) {
            return config_.search.budget <= 0 || cost_of(choices) <= config_.search.budget;
        });
        for (size_t made = 0; made < journal_->trials().size() || budget_left(); ++made) {
            const auto request = source.ask();
            if (!request) {
                log_info("search     every layout that could be drawn was tried");
                break;
            }
            Trial trial{0, config_.search.method, text_of(request->choices), source.tokens(request->rung),
                        cost_of(request->choices)};
            if (!run_trial(config_, folder_, *journal_, trial, argv_)) return false;
            source.tell(*request, trial.bits_per_byte);
            if (const auto best = source.best()) {
                take(best->choices);
                result_.bits_per_byte = journal_->find(result_.layout, source.tokens(best->rung))->bits_per_byte;
            }
        }
        if (result_.layout.empty()) fail_usage("the search made no trial", "train", "raise its budget");
        return true;
    }

    void write_result() const {
        Config found = with_layout(config_, result_.layout);
        found.origins.clear();
        replace_file(folder_ + "/found.toml", to_toml(found));
        replace_file(folder_ + "/search.json", to_json(result_, config_).dump(1) + "\n");
    }

    Config config_;
    std::string folder_;
    std::vector<std::string> argv_;
    LayoutNode layout_;
    std::vector<SlotPlace> places_;
    CostTable costs_;
    std::optional<TrialJournal> journal_;
    SearchResult result_;
};

}  // namespace

SearchResult run_search(const Config& config, const std::string& folder, const std::vector<std::string>& argv) {
    return Search(config, folder, argv).run();
}

bool is_search_folder(const std::string& path) {
    return fs::exists(path + "/config.toml") && fs::exists(path + "/costs.json");
}

nlohmann::ordered_json to_json(const SearchResult& result, const Config& config) {
    nlohmann::ordered_json json = {{"method", config.search.method},  {"searched", to_string(decoder_layout(config))},
                                   {"stopped_by", result.stopped_by}, {"layout", result.layout},
                                   {"cost_of", config.search.cost},   {"cost", result.cost}};
    if (config.search.budget > 0) json["budget"] = config.search.budget;
    if (result.bits_per_byte) json["bits_per_byte"] = *result.bits_per_byte;
    json["trials"] = nlohmann::ordered_json::array();
    for (const Trial& trial : result.trials) json["trials"].push_back(to_json(trial));
    return json;
}

}  // namespace lithe

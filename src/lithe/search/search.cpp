#include "lithe/search/search.h"

#include <cmath>
#include <filesystem>

#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/named_paths.h"
#include "lithe/data/own_folders.h"
#include "lithe/report/report.h"
#include "lithe/report/search_page.h"
#include "lithe/search/costs.h"
#include "lithe/search/evolution.h"
#include "lithe/spec/config_io.h"
#include "lithe/spec/slots.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

constexpr double kEqualShare = 0.05;  // of its cost, by which a layout that costs as much as another may differ

// What tells networks apart: "s-" and "-s" are one. Names in < > keep their hyphens.
std::string without_identities(const std::string& layout) {
    std::string text;
    bool name = false;
    for (char c : layout) {
        if (c == '<') name = true;
        if (c == '>') name = false;
        if (name || c != '-') text += c;
    }
    return text;
}

class Search {
 public:
    Search(const Config& config, std::string folder, const SearchOptions& options)
        : config_(with_absolute_paths(config)),
          folder_(std::move(folder)),
          options_(options),
          layout_(decoder_layout(config)),
          places_(slot_places(layout_)) {}

    SearchResult run() {
        check();
        require_utf8_path(folder_, option("run"));
        check_writable(folder_);
        refuse_text_inside(config_.data, folder_);
        make_folders(folder_);
        FileLock lock(folder_ + "/lock", "another search runs in this folder");
        compare_config();
        time_.emplace(folder_, config_.train.max_seconds);
        set_up_costs();
        keep_settings();
        journal_.emplace(folder_);
        result_.stopped_by = "finished";
        const bool done = config_.search.method == SearchMethod::gumbel ? gumbel() : trials();
        if (!done) result_.stopped_by = "signal";
        result_.trials = journal_->trials();
        if (done) write_result();
        time_->keep();
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
        if (s.method != SearchMethod::gumbel && s.trial_tokens <= 0)
            problems.add("search.method = \"" + name_of(s.method) + "\" trains many layouts: how long each?",
                         "search.trial_tokens");
        if (s.method != SearchMethod::gumbel && t.max_tokens <= 0 && t.max_seconds <= 0)
            problems.add("how long may the search take in all?", "train",
                         "give " + budget("tokens") + " or " + budget("time"));
        if (s.method == SearchMethod::gumbel && t.max_tokens <= 0 && t.max_seconds <= 0 && t.max_steps <= 0)
            problems.add("a search needs a budget", "train",
                         "give " + budget("steps") + ", " + budget("tokens") + " or " + budget("time"));
        if (s.budget > 0 && s.cost == CostUnit::none)
            problems.add("a budget of what?", "search.budget", "set search.cost");
        for (const std::string& baseline : s.baselines) {
            Config concrete = trial_config(config_, baseline, 1);
            check_config(concrete, problems);
        }
        Config supernet = config_;
        supernet.search.supernet = true;
        if (!places_.empty()) check_config(supernet, problems);
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
                       "restore them, or start a new one with " + option("run"));
    }

    void set_up_costs() {
        if (fs::exists(folder_ + "/costs.json")) {
            costs_ = read_costs(folder_ + "/costs.json", config_);
        } else {
            const Machine machine = machine_here();
            costs_ = measure_costs(config_, vocabulary(), machine);
        }
        if (config_.search.cost == CostUnit::none) return;
        log_info("costs      " + name_of(config_.search.cost) + " from " + format_number(costs_.cheapest()) + " to " +
                 format_number(costs_.dearest()));
        if (config_.search.budget > 0 && costs_.cheapest() > config_.search.budget)
            fail({.kind = ErrorKind::usage,
                  .what = "no layout meets the budget",
                  .where = "search.budget",
                  .expected = "at least " + format_number(costs_.cheapest()) + ", the cheapest layout's " +
                              name_of(config_.search.cost),
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
        supernet.search.retrain_tokens = 0;
        supernet.search.random_layouts = 0;
        const bool others = config_.search.retrain_tokens > 0;
        supernet.train.max_seconds = time_->network_limit(others);
        if (others && supernet.train.max_seconds > 0)
            log_info("time       " + format_seconds(supernet.train.max_seconds) + " of " +
                     format_seconds(config_.train.max_seconds) + " for the network, the rest for " +
                     "training the result and what it is compared with");
        TrainOptions options = train_options(options_, folder_ + "/supernet");
        if (!costs_.slots.empty()) options.costs = costs_;
        Trainer trainer(supernet, options);
        const TrainResult trained = trainer.run();
        if (trained.stopped_by == "signal") return false;
        if (trained.valid) time_->note_evaluation(trained.valid->seconds);
        time_->network_is_trained(supernet.train.max_seconds);
        time_->keep();
        write_report(options.run);
        if (!trained.choices) fail_usage("no layout meets the budget", "search.budget");
        take(*trained.choices);
        log_info("found      " + result_.layout + " (" + trained.stopped_by + ")");
        if (others) return retrain(*trained.choices);
        note("The result was not trained alone: search.retrain_tokens compares it with baselines and random layouts.");
        return true;
    }

    void take(const std::vector<int64_t>& choices) {
        result_.layout = text_of(choices);
        result_.cost = cost_of(choices);
    }

    void note(const std::string& sentence) {
        log_info("note       " + sentence);
        result_.notes.push_back(sentence);
    }

    // Layouts that cost as much as the result within 5 %, by search.cost, or by FLOPs per token where that is "none",
    // and are none of the networks in `known`.
    std::vector<std::vector<int64_t>> random_equals(const std::vector<int64_t>& choices, std::set<std::string> known) {
        const int64_t wanted = config_.search.random_layouts;
        if (wanted == 0) return {};
        Config counted = config_;
        if (counted.search.cost == CostUnit::none) counted.search.cost = CostUnit::flops;
        const CostTable costs =
            config_.search.cost == CostUnit::none ? measure_costs(counted, vocabulary(), machine_here()) : costs_;
        std::vector<std::vector<int64_t>> found;
        const uint64_t key = combine_key(uint64_t(config_.train.seed), "random layouts");
        for (uint64_t draw = 0; draw < 200'000 && int64_t(found.size()) < wanted; ++draw) {
            std::vector<int64_t> other;
            for (size_t place = 0; place < places_.size(); ++place)
                other.push_back(
                    int64_t(random_unit(combine_key(key, draw), place) * double(places_[place].candidates.size())));
            if (std::abs(costs.of(other) - costs.of(choices)) > kEqualShare * costs.of(choices)) continue;
            if (known.insert(without_identities(text_of(other))).second) found.push_back(std::move(other));
        }
        if (int64_t(found.size()) < wanted)
            note(std::to_string(found.size()) + " random layouts instead of " + std::to_string(wanted) +
                 ": no others cost as much as the result within 5 % (" + name_of(counted.search.cost) + ").");
        return found;
    }

    Machine machine_here() const {
        TrainConfig train = config_.train;
        return set_up_machine(train);
    }
    int64_t vocabulary() const {
        return checked_vocabulary(config_, Corpus::open(config_.data, nullptr, options_.stop).tokenizer());
    }

    // The result first, then what it is compared with.
    std::vector<Trial> comparison(const std::vector<int64_t>& choices) {
        const int64_t tokens = config_.search.retrain_tokens;
        std::vector<Trial> list = {{0, "found", result_.layout, tokens, result_.cost}};
        std::set<std::string> known{without_identities(result_.layout)};
        const bool priced = config_.search.cost != CostUnit::none && !config_.search.baselines.empty();
        const Machine machine = machine_here();
        const int64_t size = priced ? vocabulary() : 0;
        for (const std::string& baseline : config_.search.baselines) {
            if (known.insert(without_identities(to_string(parse_layout(baseline)))).second)
                list.push_back(
                    {0, "baseline", baseline, tokens, cost_of_layout(config_, costs_, baseline, size, machine)});
            else note("The baseline " + baseline + " is trained once: it stands in the comparison already.");
        }
        for (const auto& other : random_equals(choices, known))
            list.push_back({0, "random", text_of(other), tokens, cost_of(other)});
        return list;
    }

    bool retrain(const std::vector<int64_t>& choices) {
        std::vector<TrainedLayout> trained;
        std::vector<std::string> left_out;
        const std::vector<Trial> list = comparison(choices);
        for (size_t i = 0; i < list.size(); ++i) {
            Trial trial = list[i];
            const TrialEnd end = run_trial(config_, folder_, *journal_, trial, *time_, options_);
            if (end == TrialEnd::stopped) return false;
            if (end == TrialEnd::out_of_time) {
                left_out.push_back(list[i].origin + " " + list[i].layout);
                continue;
            }
            if (i == 0) result_.score = trial.score;
            trained.push_back({list[i].origin, trial.layout, trial.score.value, trial.cost});
        }
        if (result_.score) result_.rank = rank_of_result(trained, result_.score->kind);
        if (left_out.empty()) return true;
        result_.stopped_by = "time";
        note("The time is over (" + format_seconds(time_->used()) + " of " + format_seconds(config_.train.max_seconds) +
             "): not trained alone are " + join(left_out, ", ") + ". The same command with a longer " + budget("time") +
             " goes on with them.");
        return true;
    }

    bool budget_left() const {
        double tokens = 0;
        for (const Trial& trial : journal_->trials()) tokens += double(trial.tokens);
        const int64_t most = config_.train.max_tokens;
        return (most <= 0 || tokens < double(most)) && time_->left() > 0;
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
            Trial trial{0, name_of(config_.search.method), text_of(request->choices), source.tokens(request->rung),
                        cost_of(request->choices)};
            const TrialEnd end = run_trial(config_, folder_, *journal_, trial, *time_, options_);
            if (end == TrialEnd::stopped) return false;
            if (end == TrialEnd::out_of_time) {
                note("The time is over: " + trial.layout + " was not trained to its end and does not count.");
                break;
            }
            source.tell(*request, trial.score.kind.as_loss(trial.score.value));
            if (const auto best = source.best()) {
                take(best->choices);
                result_.score = journal_->find(result_.layout, source.tokens(best->rung))->score;
            }
        }
        if (result_.layout.empty()) fail_usage("the search made no trial", "train", "raise its budget");
        return true;
    }

    void write_result() const {
        replace_file(folder_ + "/found.toml", to_toml(with_layout(config_, result_.layout)));
        replace_file(folder_ + "/search.json", to_json(result_, config_).dump(1) + "\n");
    }

    Config config_;
    std::string folder_;
    SearchOptions options_;
    LayoutNode layout_;
    std::vector<SlotPlace> places_;
    CostTable costs_;
    std::optional<TrialJournal> journal_;
    std::optional<SearchTime> time_;
    SearchResult result_;
};

}  // namespace

SearchResult run_search(const Config& config, const std::string& folder, const SearchOptions& options) {
    return Search(config, folder, options).run();
}

bool is_search_folder(const std::string& path) {
    return fs::exists(path + "/config.toml") && fs::exists(path + "/costs.json");
}

nlohmann::ordered_json to_json(const SearchResult& result, const Config& config) {
    nlohmann::ordered_json json = {
        {"method", name_of(config.search.method)}, {"searched", to_string(decoder_layout(config))},
        {"stopped_by", result.stopped_by},         {"layout", result.layout},
        {"cost_of", name_of(config.search.cost)},  {"cost", result.cost}};
    if (config.search.budget > 0) json["budget"] = config.search.budget;
    if (result.score) json["score"] = to_json(*result.score);
    if (result.rank)
        json["rank"] = {{"place", result.rank->place}, {"of", result.rank->of}, {"sentence", result.rank->sentence}};
    json["notes"] = result.notes;
    json["trials"] = nlohmann::ordered_json::array();
    for (const Trial& trial : result.trials) json["trials"].push_back(to_json(trial));
    return json;
}

}  // namespace lithe

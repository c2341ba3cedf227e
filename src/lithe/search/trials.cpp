#include "lithe/search/trials.h"

#include <cmath>
#include <filesystem>
#include <sstream>

#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/report/report.h"
#include "lithe/report/run_record.h"
#include "lithe/spec/config_io.h"
#include "lithe/spec/slots.h"

namespace lithe {
namespace fs = std::filesystem;

nlohmann::ordered_json to_json(const Trial& trial) {
    return {{"number", trial.number},   {"origin", trial.origin},
            {"layout", trial.layout},   {"tokens", trial.tokens},
            {"cost", trial.cost},       {"score", to_json(trial.score)},
            {"seconds", trial.seconds}, {"parameters", trial.parameters}};
}

static Trial trial_from_json(const nlohmann::json& json) {
    Trial trial;
    trial.number = whole(json.at("number"));
    trial.origin = json.at("origin");
    trial.layout = json.at("layout");
    trial.tokens = whole(json.at("tokens"));
    trial.cost = json.at("cost");
    const auto score = score_of(json);
    if (!score) throw std::runtime_error("it has no score");
    trial.score = *score;
    trial.seconds = json.at("seconds");
    trial.parameters = whole(json.at("parameters"));
    return trial;
}

TrialJournal::TrialJournal(const std::string& folder) : path_(folder + "/trials.jsonl") {
    if (!fs::exists(path_)) return;
    const std::string text = read_file(path_, 256 << 20);
    std::istringstream lines(text);
    size_t good = 0;
    int64_t number = 0;
    for (std::string line; std::getline(lines, line); ++number) {
        const bool whole = good + line.size() < text.size();  // a newline stands behind it
        if (!whole) {
            log_warning("the last line of " + path_ + " was cut off; its trial is made again");
            break;
        }
        try {
            trials_.push_back(trial_from_json(parse_json<nlohmann::json>(line, path_)));
            if (trials_.back().number != number)
                throw std::runtime_error("trial " + std::to_string(number) + " expected");
        } catch (const std::exception& error) {
            fail_file("damaged journal, line " + std::to_string(number + 1) + ": " + error.what(), path_,
                      "cut the file off before that line: what stood behind it is trained again");
        }
        good += line.size() + 1;
    }
    if (good < text.size()) replace_file(path_, text.substr(0, good));
}

const Trial* TrialJournal::find(const std::string& layout, int64_t tokens) const {
    for (const Trial& trial : trials_)
        if (trial.layout == layout && trial.tokens == tokens) return &trial;
    return nullptr;
}

void TrialJournal::add(const Trial& trial) {
    FileWriter writer(path_, true);
    writer.write(to_json(trial).dump() + "\n");
    writer.close();
    trials_.push_back(trial);
}

Config trial_config(const Config& searched, const std::string& layout, int64_t tokens) {
    Config config = with_layout(searched, layout);
    config.train.max_tokens = tokens;
    config.train.max_steps = 0;
    config.train.max_seconds = 0;
    config.schedule.axis = ScheduleAxis::tokens;  // time may cut a trial off, and moves nothing
    config.sample.tokens = 0;
    config.checkpoint.keep = 1;  // of hundreds
    for (const char* path : {"train.max_tokens", "train.max_steps", "train.max_seconds", "schedule.axis",
                             "sample.tokens", "checkpoint.keep"})
        config.origins[path] = kSearchOrigin;
    return config;
}

// A trial that was stopped and is not wanted any more (other baselines were asked for) makes room.
static void set_aside(const std::string& run, const Trial& trial) {
    if (!fs::exists(run + "/config.toml")) return;
    const Config config = load_config(run + "/config.toml");
    if (config.model.layout == trial.layout && config.train.max_tokens == trial.tokens) return;
    std::string aside = run + "-left";
    while (fs::exists(aside)) aside += "-left";
    fs::rename(run, aside);
}

// Seconds of training that the quickest known trial of this length took; 0 when none is known.
static double quickest(const TrialJournal& journal, int64_t tokens) {
    double least = 0;
    for (const Trial& trial : journal.trials())
        if (trial.tokens == tokens && (least == 0 || trial.seconds < least)) least = trial.seconds;
    return least;
}

// Training time of the checkpoint that a trial goes on from.
static double seconds_saved(const std::string& run) {
    const auto place = RunFolder::newest_valid(run);
    if (!place) return 0;
    const std::string path = place->folder + "/state.json";
    return number_of(parse_json<nlohmann::json>(read_file(path, 1 << 20), path), "train_seconds");
}

// Trials on different texts say nothing about layouts.
static void check_same_text(const std::string& folder, const std::string& run) {
    const std::string before = RunFolder::data_fingerprint(folder + "/trials/0"),
                      now = RunFolder::data_fingerprint(run);
    if (before.empty() || now.empty() || before == now) return;
    if ((before.find(':') == std::string::npos) != (now.find(':') == std::string::npos)) return;  // of two kinds
    fail_usage("the text is not what it was when the search began (fingerprint " + before + " became " + now + ")",
               folder, "put it back, or start a new search with " + option("run"));
}

TrainOptions train_options(const SearchOptions& options, std::string run) {
    TrainOptions all;
    all.run = std::move(run);
    all.argv = options.argv;
    all.stop = options.stop;
    all.save_asked = options.save_asked;
    return all;
}

TrialEnd run_trial(const Config& config, const std::string& folder, TrialJournal& journal, Trial& trial,
                   SearchTime& time, const SearchOptions& given) {
    if (const Trial* known = journal.find(trial.layout, trial.tokens)) {
        trial = *known;
        return TrialEnd::trained;
    }
    trial.number = int64_t(journal.trials().size());
    const TrainOptions options = train_options(given, folder + "/trials/" + std::to_string(trial.number));
    set_aside(options.run, trial);
    const double before = seconds_saved(options.run), left = time.left();
    if (left <= 0 || before + left < quickest(journal, trial.tokens)) return TrialEnd::out_of_time;
    log_info("trial " + std::to_string(trial.number) + "    " + trial.layout + " (" + trial.origin + "), " +
             format_count(double(trial.tokens)) + " tokens");
    Config concrete = trial_config(config, trial.layout, trial.tokens);
    if (std::isfinite(left)) concrete.train.max_seconds = before + left;
    Trainer trainer(concrete, options);
    check_same_text(folder, options.run);
    const TrainResult result = trainer.run();
    if (result.valid) time.note_evaluation(result.valid->seconds);
    if (result.stopped_by == "signal") return TrialEnd::stopped;
    if (result.stopped_by == "time") return TrialEnd::out_of_time;
    write_report(options.run);
    if (!result.valid)
        fail_file("a search compares layouts on a validation split, and the data has none", config.data.path,
                  "set data.split or data.valid");
    trial.score = result.valid->score;
    trial.seconds = result.state.train_seconds;
    trial.parameters = result.parameters;
    journal.add(trial);
    return TrialEnd::trained;
}

}  // namespace lithe

#include "lithe/train/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

// Files of a run that are replaced as a whole: a kill can leave their temporary ones.
constexpr const char* kReplaced[] = {"config.toml",   "run.json",      "plan.json",     "best",       "latest",
                                     "metrics.jsonl", "samples.jsonl", "choices.jsonl", "report.html"};

// What write_checkpoint and remove_old name a folder before it is whole or gone: ".tmp-step-000000012-34",
// ".old-step-000000012-34", ".del-step-000000012".
bool is_left_checkpoint(const std::string& name) {
    static const std::regex pattern(R"(\.(tmp|old)-step-\d{9,}-\d+|\.del-step-\d{9,})");
    return std::regex_match(name, pattern);
}

}  // namespace

RunFolder::RunFolder(const std::string& path) : path_(path) {
    while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
    make_folders(path_ + "/checkpoints");
    lock_ = std::make_unique<FileLock>(
        file(".lock"), "two trainers cannot share a run folder; choose another with " + option("run") + ", or wait");
}

// A file of this name may be somebody else's.
static bool is_run_record(const std::string& path) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return false;
    const auto record = try_parse_json<nlohmann::json>(read_file(path));
    if (!record || !record->is_object() || !record->contains("schema")) return false;
    const auto& schema = (*record)["schema"];
    return schema.is_string() && schema.get<std::string>().starts_with("lithe.run/");
}

bool RunFolder::has_run(const std::string& path) {
    return is_run_record(path + "/run.json") || !list_checkpoints(path).empty();
}

bool RunFolder::looks_like(const std::string& path) {
    return fs::exists(path + "/config.toml") && fs::is_directory(path + "/checkpoints") &&
           (has_run(path) || fs::exists(path + "/.lock"));
}

void RunFolder::check_place(const std::string& path, bool fresh) {
    check_writable(path);
    check_writable(path + "/checkpoints");
    if (fresh && has_run(path))
        fail_usage("the folder holds a run already", path,
                   "choose another folder with " + option("run") + ", or resume it with " + option("resume"));
    if (has_run(path) || looks_like(path)) return;
    for (const char* name : kReplaced)
        if (fs::exists(path + "/" + name))
            fail_usage("the folder is no run and holds a file " + std::string(name) + " that a run would replace", path,
                       "choose another with " + option("run"));
}

void RunFolder::clean() {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(file("checkpoints"), error)) {
        std::string name = entry.path().filename().string();
        if (!is_left_checkpoint(name)) continue;
        if (name.rfind(".old-", 0) == 0) {  // a kill between two renames: the older one is still the only one
            std::string target = file("checkpoints/") + name.substr(5, name.rfind('-') - 5);
            if (!fs::exists(target)) fs::rename(entry.path(), target, error);
        }
        remove_checkpoint(entry.path().string());
    }
    remove_own_files(path_, [](const std::string& name) {
        return std::any_of(std::begin(kReplaced), std::end(kReplaced),
                           [&](const char* each) { return is_temporary_of(name, each); });
    });
}

std::optional<CheckpointPlace> RunFolder::newest_valid(const std::string& run) {
    for (const CheckpointPlace& place : list_checkpoints(run)) {
        // one of a newer version, or of a model only, is not skipped: training on from an earlier one would replace it
        refuse_newer_manifest(place.folder);
        std::optional<Manifest> manifest;
        try {
            manifest = verify_checkpoint(place.folder);
        } catch (const Error& error) {
            log_warning("checkpoint of step " + std::to_string(place.step) + " is skipped: " + error.what());
            continue;
        }
        require_training(*manifest);
        return place;
    }
    return std::nullopt;
}

void RunFolder::cut_back(int64_t step) {
    first_step_ = step + 1;
    for (const char* name : {"metrics", "samples", "choices"}) {
        const std::string path = file(std::string(name) + ".jsonl");
        if (!fs::exists(path)) continue;
        const std::string text = read_file(path);
        std::istringstream lines(text);
        std::string kept, superseded;
        for (std::string line; std::getline(lines, line);) {
            const auto json = try_parse_json<nlohmann::json>(line);
            const bool whole =
                json && json->is_object() && json->contains("step") && (*json)["step"].is_number_integer();
            if (whole && (*json)["step"].get<int64_t>() <= step) kept += line + "\n";
            else if (!line.empty()) superseded += line + "\n";
        }
        if (kept == text) continue;
        if (!superseded.empty()) {
            FileWriter aside(file(std::string(name) + ".superseded.jsonl"), true);
            aside.write(superseded);
            aside.close();
        }
        replace_file(path, kept);
    }
}

void RunFolder::set_aside_after(int64_t step) {
    for (const CheckpointPlace& place : list_checkpoints(path_)) {
        if (place.step <= step) break;
        std::string aside = file("checkpoints/superseded-") + checkpoint_name(place.step);
        while (fs::exists(aside)) aside += "-again";
        fs::rename(place.folder, aside);
        log_info("set aside  " + aside + ": training goes on from an earlier step");
    }
    std::error_code ignored;
    for (const char* pointer : {"best", "latest"}) {
        if (!fs::exists(file(pointer))) continue;
        const std::string name = read_file(file(pointer), 4096);
        if (!fs::exists(file("checkpoints/") + name.substr(0, name.find('\n')))) fs::remove(file(pointer), ignored);
    }
}

// "[section] key = value" of each line of a configuration, and the line.
static std::map<std::string, std::string> lines_by_value(const std::string& toml) {
    std::map<std::string, std::string> lines;
    std::istringstream text(toml);
    std::string section;
    for (std::string line; std::getline(text, line);) {
        if (line.rfind('[', 0) == 0) section = line;
        else lines.emplace(section + " " + line.substr(0, line.rfind("  # ")), line);
    }
    return lines;
}

void RunFolder::write_config(const Config& config) {
    const std::string path = file("config.toml");
    std::istringstream text(to_toml(config));
    const std::string old = fs::exists(path) ? read_file(path, 1 << 20) : "";
    const std::map<std::string, std::string> before = lines_by_value(old);
    std::string section, all;
    for (std::string line; std::getline(text, line);) {
        if (line.rfind('[', 0) == 0) section = line;
        const auto same = before.find(section + " " + line.substr(0, line.rfind("  # ")));
        all += (same == before.end() ? line : same->second) + "\n";
    }
    if (all != old) replace_file(path, all);
}

// The record of starts; empty when there is none.
static nlohmann::ordered_json read_starts(const std::string& path) {
    nlohmann::ordered_json starts = nlohmann::ordered_json::array();
    if (!fs::exists(path + "/run.json")) return starts;
    const auto record = try_parse_json(read_file(path + "/run.json", 64 << 20));
    if (record && record->is_object() && record->contains("starts") && (*record)["starts"].is_array())
        starts = (*record)["starts"];
    return starts;
}

// What the last start that has it says.
static std::string last_said(const std::string& path, const char* key) {
    std::string value;
    for (const auto& start : read_starts(path))
        if (start.is_object() && start.contains(key) && start[key].is_string()) value = start[key];
    return value;
}

std::string RunFolder::source(const std::string& path) { return last_said(path, "source"); }

std::string RunFolder::data_fingerprint(const std::string& path) { return last_said(path, "data_fingerprint"); }

void RunFolder::append(const char* name, const nlohmann::ordered_json& line) {
    try {
        FileWriter writer(file(name), true);
        writer.write(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    } catch (const Error& error) {
        if (!told_full_) log_warning(std::string(error.what()) + " (training goes on; lines of metrics are lost)");
        told_full_ = true;
    }
}

void RunFolder::metrics(const nlohmann::ordered_json& line) { append("metrics.jsonl", line); }

void RunFolder::choices(const nlohmann::ordered_json& line) { append("choices.jsonl", line); }

void RunFolder::sample(const nlohmann::ordered_json& line) { append("samples.jsonl", line); }

EventWriter& RunFolder::events() {
    if (!events_) events_ = std::make_unique<EventWriter>(path_, first_step_);
    return *events_;
}

void RunFolder::record_start(nlohmann::ordered_json start) {
    nlohmann::ordered_json record = {{"schema", "lithe.run/1"}, {"starts", read_starts(path_)}};
    record["starts"].push_back(std::move(start));
    replace_file(file("run.json"), record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void RunFolder::save(int64_t step, const CheckpointContent& content, bool best, int64_t keep) {
    const std::string name = checkpoint_name(step);
    write_checkpoint(file("checkpoints/") + name, content);
    if (best) replace_file(file("best"), name + "\n");
    replace_file(file("latest"), name + "\n");
    remove_old(keep);
}

void RunFolder::remove_old(int64_t keep) {
    std::string best;
    if (fs::exists(file("best"))) best = read_file(file("best"), 4096);
    auto all = list_checkpoints(path_);
    for (size_t i = size_t(keep); i < all.size(); ++i) {
        if (best.rfind(checkpoint_name(all[i].step), 0) == 0) continue;
        // renamed first: a kill in the middle must not leave half a checkpoint under its name
        std::error_code error;
        const std::string doomed = file("checkpoints/.del-") + checkpoint_name(all[i].step);
        fs::rename(all[i].folder, doomed, error);
        remove_checkpoint(doomed);
    }
}

}  // namespace lithe

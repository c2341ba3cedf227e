#include "lithe/report/run_record.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/median.h"
#include "lithe/base/wording.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

void flatten(const Json& json, const std::string& path, std::map<std::string, std::string>& settings) {
    if (!json.is_object()) {
        settings[path] = json.is_string() ? json.get<std::string>() : json.dump();
        return;
    }
    for (const auto& [key, value] : json.items()) flatten(value, path.empty() ? key : path + "." + key, settings);
}

RunPoint point_of(const Json& line, double value) {
    return {number_of(line, "step"), number_of(line, "tokens"), number_of(line, "seconds"), value,
            number_of(line, "learning_rate")};
}

// A run has one kind of score; should it change, what was scored before says nothing beside it.
void take_score(RunRecord& record, const Score& score, const RunPoint& point) {
    if (!(score.kind == record.score)) {
        record.valid.clear();
        record.best_score.reset();
    }
    record.score = score.kind;
    record.valid.push_back(point);
    record.last_score = score.value;
    if (!record.best_score || score.kind.better(score.value, *record.best_score)) record.best_score = score.value;
}

// The cross-entropy where blocks add losses of their own.
double loss_of(const Json& line) {
    const auto terms = line.find("terms");
    const bool apart = terms != line.end() && terms->is_object() && terms->contains(kCrossEntropy);
    return apart ? number_of(*terms, kCrossEntropy) : line["loss"].get<double>();
}

void take_blocks(RunRecord& record, const Json& line) {
    const auto blocks = line.find("blocks");
    if (blocks == line.end() || !blocks->is_object()) return;
    for (const auto& [name, values] : blocks->items()) {
        auto& points = record.blocks[name];
        RunRecord::BlockPoint point{number_of(line, "tokens"), {}};
        if (!values.is_array()) continue;
        for (const Json& each : values)
            if (each.is_number()) point.values.push_back(each.get<double>());
        if (points.empty() || points.front().values.size() == point.values.size()) points.push_back(std::move(point));
    }
}

void read_metrics(RunRecord& record) {
    std::vector<double> speeds;
    for (const Json& line : read_json_lines(record.folder + "/metrics.jsonl")) {
        if (line.contains("valid")) {
            const Json& valid = line["valid"];
            const std::optional<Score> score = score_of(valid);
            if (!score || !std::isfinite(score->value)) continue;
            const double bytes = number_of(valid, "bytes");
            if (bytes > 0 && number_of(valid, "tokens") > 0)
                record.bytes_per_token = bytes / number_of(valid, "tokens");
            record.last_valid = valid;
            take_score(record, *score, point_of(line, score->value));
        } else if (line.contains("loss") && line["loss"].is_number()) {
            record.train.push_back(point_of(line, loss_of(line)));
            take_blocks(record, line);
            speeds.push_back(number_of(line, "tokens_per_second"));
            record.peak_memory = std::max(record.peak_memory, number_of(line, "peak_rss_bytes"));
            if (line.contains("joules")) record.joules = number_of(line, "joules");
        }
        record.steps = std::max(record.steps, count_of(line, "step"));
        record.tokens = std::max(record.tokens, count_of(line, "tokens"));
        record.seconds = std::max(record.seconds, number_of(line, "seconds"));
    }
    record.tokens_per_second = median(std::move(speeds));
    if (!record.trains_on_score()) return;
    for (RunPoint& point : record.train) point.value /= std::numbers::ln2 * record.bytes_per_token;
}

// The machine of the last start.
void read_start(RunRecord& record) {
    const std::string path = record.folder + "/run.json";
    if (!fs::exists(path)) return;
    Json json = try_parse_json<Json>(read_file(path, 16 << 20)).value_or(Json());
    if (json.is_object() && json.contains("starts") && json["starts"].is_array() && !json["starts"].empty())
        json = Json(json["starts"].back());
    if (!json.is_object()) return;
    record.data_fingerprint = text_of(json, "data_fingerprint");
    record.tokenizer_hash = text_of(json, "tokenizer_hash");
    const auto entropy = json.find("loss_is_cross_entropy");
    record.loss_is_cross_entropy = entropy == json.end() || !entropy->is_boolean() || entropy->get<bool>();
    for (const char* key : {"cpu", "isa", "device", "threads", "precision"})
        if (json.contains(key))
            record.machine[key] = json[key].is_string() ? json[key].get<std::string>() : json[key].dump();
    // the settings keep what was asked for, and runs are compared by what was made of it
    if (record.config.model.vocabulary_size == 0 && json.contains("vocabulary_size")) {
        record.config.model.vocabulary_size = count_of(json, "vocabulary_size");
        record.settings["model.vocabulary_size"] = std::to_string(record.config.model.vocabulary_size);
    }
    std::string& precision = record.settings["train.precision"];
    if (precision == "auto" && record.machine.count("precision")) precision = record.machine["precision"];
}

}  // namespace

double RunRecord::unspoken_share() const { return number_of(last_valid, "unspoken_share"); }

std::string text_of(const Json& json, const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
}

double number_of(const Json& json, const char* key) {
    return json.contains(key) && json[key].is_number() ? json[key].get<double>() : 0;
}

int64_t count_of(const Json& json, const char* key) {
    const Json& value = json.contains(key) ? json[key] : Json();
    return value.is_number_integer() ? value.get<int64_t>() : 0;
}

std::vector<Json> read_json_lines(const std::string& path) {
    std::vector<Json> result;
    if (!fs::exists(path)) return result;
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);) {
        auto json = try_parse_json<Json>(line);
        if (json && json->is_object()) result.push_back(std::move(*json));
    }
    return result;
}

RunRecord read_run_record(const std::string& folder) {
    const std::string config = folder + "/config.toml";
    if (!fs::is_directory(folder))
        fail_file("there is no such run folder", folder, "RUN is the " + option("run") + " of lithe train");
    if (!fs::exists(config))
        fail_file("the folder holds no run (no config.toml)", folder,
                  "RUN is the " + option("run") + " of lithe train");
    RunRecord record;
    record.folder = folder;
    fs::path normal = fs::path(folder).lexically_normal();
    if (normal.filename().empty()) normal = normal.parent_path();
    record.name = normal.filename().string();
    record.config = load_config(config);
    flatten(parse_json<Json>(to_json(record.config), config), "", record.settings);
    read_start(record);
    read_metrics(record);
    return record;
}

}  // namespace lithe

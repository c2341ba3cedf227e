// What a run folder says of its run: settings, machine, curves, what came out and what it took.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lithe/base/score.h"
#include "lithe/spec/config.h"

namespace lithe {

struct RunPoint {
    double step = 0, tokens = 0, seconds = 0;
    double value = 0;          // the score; of training, see RunRecord::train
    double learning_rate = 0;  // of training
};

struct RunRecord {
    std::string name, folder;
    Config config;
    std::map<std::string, std::string> settings;  // "optimizer.learning_rate" -> its value as JSON
    std::map<std::string, std::string> machine;   // cpu, isa, device, threads, precision of the last start
    ScoreKind score;                              // of the last evaluation
    std::vector<RunPoint> valid;                  // evaluations by that score
    // What blocks logged of themselves in training (Aux::metrics), by its name.
    struct BlockPoint {
        double tokens = 0;
        std::vector<double> values;
    };
    std::map<std::string, std::vector<BlockPoint>> blocks;
    std::vector<RunPoint> train;  // the loss, scaled to bits per byte where that is the score; else nats
    double bytes_per_token = 1;
    std::string data_fingerprint;  // of text and tokenizer; "" when it was not recorded
    std::string tokenizer_hash;    // likewise
    nlohmann::json last_valid;     // the last evaluation; null without one
    std::optional<double> last_score, best_score;
    int64_t steps = 0, tokens = 0;
    double seconds = 0;            // of training
    double tokens_per_second = 0;  // median
    double peak_memory = 0;        // bytes
    std::optional<double> joules;  // measured, of training
    // Not in the folder; for the caller to fill from the configuration. 0: not known.
    int64_t parameters = 0;
    double flops_per_token = 0;           // forward
    double training_flops_per_token = 0;  // forward and backward
    std::optional<double> milliseconds;   // per generated token

    // Of the last evaluation; null without one.
    nlohmann::json protocol() const {
        return last_valid.is_object() ? last_valid.value("protocol", nlohmann::json()) : nlohmann::json();
    }
    // The share of the bytes scored last that the unknown token stands for, or no token at all.
    double unspoken_share() const;
    bool loss_is_cross_entropy = true;  // of training; no smoothed one
    // Whether loss and score are of one unit, so that one chart shows both.
    bool trains_on_score() const { return loss_is_cross_entropy && score.name == ScoreKind().name; }
    double training_flops() const { return training_flops_per_token * double(tokens); }
};

// The text under this key; "" where there is none.
std::string text_of(const nlohmann::json& json, const char* key);

// Throws a bad_file error when the folder holds no run. Lines that are cut off or damaged are left out.
RunRecord read_run_record(const std::string& folder);

// The lines of a JSONL file that are objects; an absent file has none.
std::vector<nlohmann::json> read_json_lines(const std::string& path);

// json[key] as a number or as a whole number, 0 when there is none.
double number_of(const nlohmann::json& json, const char* key);
int64_t count_of(const nlohmann::json& json, const char* key);

}  // namespace lithe

// Trains a language model on continuous streams: truncated backpropagation with carried state, evaluation, checkpoints,
// exact resume, budgets, signals. The loop is a sequence of steps; between steps everything is in TrainerState, and a
// checkpoint holds all of it.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "lithe/data/feeder.h"
#include "lithe/train/evaluate.h"
#include "lithe/train/machine.h"
#include "lithe/train/optimizer.h"
#include "lithe/train/run_folder.h"
#include "lithe/train/schedule.h"
#include "lithe/train/search_steps.h"
#include "lithe/train/train_step.h"

namespace lithe {

struct TrainerState {
    int64_t step = 0;  // updates done
    int64_t tokens = 0;
    double train_seconds = 0;  // without evaluation, sampling and saving
    double joules = -1;        // in that time; -1: the machine does not let us measure
    FeedPosition data;
    int64_t evaluated_step = -1;   // the step whose evaluation is done
    double evaluated_seconds = 0;  // training time at the last evaluation
    int64_t evaluations = 0, without_best = 0;
    double best_bits = 1e300;
    int64_t best_step = -1;
    int64_t skipped_in_row = 0, skipped = 0;  // updates left out for a loss that is not finite
    bool stopped_early = false;
    bool settled = false;  // the choices of a search have
    Spent spent() const { return {step, tokens, train_seconds}; }
};
nlohmann::ordered_json to_json(const TrainerState& state);
TrainerState trainer_state_from_json(const nlohmann::json& json, const std::string& source);

enum class ResumeMode { automatic, never, required };

struct TrainOptions {
    std::string run;
    std::string source;  // the configuration or text that it was asked for with; kept in the folder's record
    ResumeMode resume = ResumeMode::automatic;
    std::string resume_from;  // a checkpoint folder; empty: the newest of the run
    bool dry_run = false;
    std::optional<CostTable> costs;  // of a search's candidates
    // Told of every evaluation, with the share of the budget that is spent.
    std::function<void(const EvaluationResult& result, const TrainerState& state, double progress)> on_evaluation;
    std::vector<std::string> argv;
};

struct TrainResult {
    std::string run, stopped_by;  // "steps", "tokens", "time", "early_stop", "settled", "signal", "dry_run"
    TrainerState state;
    std::optional<EvaluationResult> valid;
    double tokens_per_second = 0, training_flops_per_token = 0, gflops = 0;
    double expected_memory = 0;  // bytes, as estimated before the first step
    int64_t parameters = 0;
    std::optional<std::vector<int64_t>> choices;  // of a search: what it found within the budget
};

class Trainer {
 public:
    // Checks everything that can be checked before the first step: configuration, data, memory, disk, the run folder.
    Trainer(Config config, TrainOptions options);
    ~Trainer();
    TrainResult run();
    struct Parts;

 private:
    void set_up_machine_of(const std::optional<Config>& before);
    void open_feeders();
    void check_memory();
    void find_readable_tokens();
    void warn_of_reading_again() const;
    std::optional<CheckpointPlace> open_folder();
    void resume(const CheckpointPlace& place, const Config& saved);
    void refuse_other_settings(const CheckpointPlace& place, const Config& saved, const nlohmann::json& state) const;
    void warn_of_another_rate(const Config& saved) const;
    void start_fresh();
    bool train_step();
    void choices_step(double progress);
    void finish_step(double seconds, int64_t tokens);
    Segment& next_segment(Prefetcher& feeder, uint64_t key);
    double progress() const;
    bool evaluate_now();
    std::optional<EvaluationResult> evaluate_valid();
    void write_sample();
    bool save(bool best);
    bool evaluation_due() const;
    bool save_due() const;
    std::string budget_reached() const;
    void record();
    void record_last();
    void warn_of_changed_text();
    void show_progress(double loss, double rate);
    std::string round();
    void keep_what_is_done();
    double update_rate() const;
    std::string last_checkpoint() const;
    void load_parts(const Manifest& manifest, const nlohmann::json& state);
    nlohmann::ordered_json machine_record() const;
    bool is_as_before(const nlohmann::json& machine_before) const;
    void tell_changes(const Manifest& manifest, const nlohmann::json& machine_before);
    nlohmann::ordered_json start_record() const;

    Config config_;   // what the machine has made of the request
    Config request_;  // what was asked for, "auto" included
    TrainOptions options_;
    TrainerState state_;
    std::unique_ptr<Parts> parts_;
};

}  // namespace lithe

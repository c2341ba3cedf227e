// A training run: what it needs is set up and checked, then a loop of updates (train/train_loop.h) with hooks around
// them (train/hooks), and exact resume. Between steps everything is in TrainerState and the parts that save themselves;
// a checkpoint holds all of it.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>

#include "lithe/data/feeder.h"
#include "lithe/model/partial_weights.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/train/machine.h"
#include "lithe/train/optimizer.h"
#include "lithe/train/run_folder.h"
#include "lithe/train/schedule.h"
#include "lithe/train/search_steps.h"
#include "lithe/train/step_runner.h"

namespace lithe {

// What the loop counts; hooks have counters of their own.
struct TrainerState {
    int64_t step = 0;  // updates done
    int64_t tokens = 0;
    double train_seconds = 0;  // without evaluation, sampling and saving
    double joules = -1;        // in that time; -1: the machine does not let us measure
    FeedPosition data;
    Spent spent() const { return {step, tokens, train_seconds}; }
};
nlohmann::ordered_json to_json(const TrainerState& state);
TrainerState trainer_state_from_json(const nlohmann::json& json, const std::string& source);

enum class ResumeMode { automatic, never, required };

struct StepDone;  // train/train_hook.h

struct TrainOptions {
    std::string run;
    std::string source;  // the configuration or text that it was asked for with; kept in the folder's record
    ResumeMode resume = ResumeMode::automatic;
    std::string resume_from;  // a checkpoint folder; empty: the newest of the run
    bool dry_run = false;
    std::optional<CostTable> costs;  // of a search's candidates
    // Told of every evaluation, with the share of the budget that is spent.
    std::function<void(const EvaluationResult& result, const TrainerState& state, double progress)> on_evaluation;
    // Told of every update that was made.
    std::function<void(const StepDone& done)> on_update = {};
    std::vector<std::string> argv;  // for records
    // The step that is being made is finished and saved, then the run ends "by signal".
    std::stop_token stop = {};
    // Asked between steps; true: save now and go on.
    std::function<bool()> save_asked = {};
};

struct TrainResult {
    std::string run, stopped_by;  // "steps", "tokens", "time", "early_stop", "settled", "signal", "dry_run"
    TrainerState state;
    std::optional<EvaluationResult> valid;
    std::optional<Score> best;  // of the evaluation of best_step
    int64_t best_step = -1;
    int64_t skipped = 0;  // updates left out for numbers that were not finite
    double tokens_per_second = 0, training_flops_per_token = 0, gflops = 0;
    double expected_memory = 0;  // bytes, as estimated before the first step
    int64_t parameters = 0;
    std::optional<std::vector<int64_t>> choices;  // of a search: what it found within the budget
};

struct TrainRun;
class TrainLoop;

class Trainer {
 public:
    // Checks everything that can be checked before the first step: configuration, data, memory, disk, the run folder.
    Trainer(Config config, TrainOptions options);
    ~Trainer();
    // Goes on until something ends the run, and saves it.
    TrainResult run();
    // The next update, and what is due before it. False: something has ended the run, and there is no more to be made.
    bool step();
    // What is left to be done when something has ended the run.
    TrainResult finish();
    // The validation text, by the weights that the run would be judged by; nullopt when a stop was asked for.
    std::optional<EvaluationResult> evaluate();
    // False when the disk is full; training goes on and it is tried again later.
    bool save(bool best = false);
    const TrainerState& state() const;
    bool writes_text() const;  // whether its model continues one
    int threads() const;

 private:
    void set_up_machine_of(const std::optional<Config>& before);
    void open_feeders();
    void check_memory();
    std::string settle_recompute(int working_bytes);
    std::optional<CheckpointPlace> open_folder();
    void add_hooks();
    void resume(const CheckpointPlace& place, const Config& saved);
    void refuse_other_settings(const CheckpointPlace& place, const Config& saved, const nlohmann::json& state) const;
    void warn_of_another_rate(const Config& saved) const;
    void start_fresh();
    void load_parts(const Manifest& manifest, const nlohmann::json& state);
    nlohmann::ordered_json machine_record() const;
    bool is_as_before(const nlohmann::json& machine_before) const;
    void tell_changes(const Manifest& manifest, const nlohmann::json& machine_before);
    nlohmann::ordered_json start_record() const;

    std::unique_ptr<TrainRun> run_;
    std::unique_ptr<TrainLoop> loop_;
    std::string stopped_by_;
    std::unique_ptr<Prefetcher> held_out_;           // until the search takes it
    std::optional<PartialWeights> partial_weights_;  // of train.init_parts
};

}  // namespace lithe

// What a training run holds and its hooks share; of train's source files only.
#pragma once

#include "lithe/base/energy.h"
#include "lithe/base/timer.h"
#include "lithe/data/prefetch.h"
#include "lithe/data/text_watch.h"
#include "lithe/model/cost.h"
#include "lithe/train/checkpoint_part.h"
#include "lithe/train/progress_record.h"
#include "lithe/train/trainer.h"

namespace lithe {

class TrainHook;

struct TrainRun {
    Config config;   // what the machine has made of the request
    Config request;  // what was asked for, "auto" included
    TrainOptions options;
    TrainerState state;

    Corpus corpus;
    std::optional<TextWatch> text;  // until its change was told
    std::unique_ptr<RunFolder> folder;
    std::unique_ptr<Objective> objective;
    Models models;
    std::shared_ptr<LanguageModel> model;  // the main one
    std::unique_ptr<Optimizer> optimizer;
    std::vector<std::unique_ptr<TokenView>> slices;  // of the training text, where a part of it is held out
    std::unique_ptr<Prefetcher> feeder;
    std::unique_ptr<StepRunner> step;
    std::vector<std::unique_ptr<TrainHook>> hooks;
    CheckpointParts saved_parts;
    // since the last start, after which the numbers are other ones in their last bits
    std::vector<std::string> changes;
    Machine machine;
    ModelCost cost;
    MemoryEstimate memory;
    std::optional<ProgressRecord> progress_record;  // of a schedule that time moves
    std::optional<EvaluationResult> valid;          // the last evaluation of this session
    double train_bytes_per_token = 1;

    // Of this session.
    double session_seconds = 0, session_wait = 0;  // wait: for data
    int64_t session_steps = 0, session_tokens = 0;
    int64_t saved_step = -1;
    bool changed = true;  // there is state that no checkpoint holds yet
    bool save_failed = false;

    // False when the disk is full: training goes on, and it is tried again later.
    std::function<bool(bool best)> save;

    // What ended the run, by the first of the hooks that says so; "": it goes on.
    std::string reached() const;
    // The share of the budget that is spent, on the schedule's axis.
    double progress() const;
    // Whether its model goes on with a text.
    bool continues_text() const;
    double learning_rate() const;
    void next_batch(Prefetcher& from, uint64_t key, int64_t first_row, Batch& batch) const;
    std::string last_checkpoint() const;
    // The score of the validation text; nullopt when a stop was asked for.
    std::optional<EvaluationResult> evaluate_valid();

 private:
    std::optional<ScoredText> valid_text_;  // made when it is first scored
};

// The configuration of a checkpoint.
Config saved_config(const CheckpointPlace& place);
// What the machine that saved it had made of the settings: threads, device and so on; empty where it is not known.
nlohmann::json saved_machine(const CheckpointPlace& place);

// While it lives, the model has the average of the weights, where there is one.
class AveragedWeights {
 public:
    explicit AveragedWeights(TrainRun& run) : run_(run) { exchange(); }
    ~AveragedWeights() { exchange(); }
    AveragedWeights(const AveragedWeights&) = delete;
    AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
    void exchange() {
        if (run_.optimizer->average().defined()) run_.model->parameters().exchange(run_.optimizer->average());
    }
    TrainRun& run_;
};

}  // namespace lithe

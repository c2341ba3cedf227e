// A language model that reads one token a row at a time on a CPU (nn/step_program.h).
#pragma once

#include <span>

#include "lithe/model/language_model.h"

namespace lithe {

class StepModel {
 public:
    struct Options {
        int64_t most_rows = 1;
        int64_t memory = 0;  // earlier positions that attention sees
        int threads = 1;
        bool int8 = false;  // weights as int8 codes with a scale per row
    };
    // Null where a part of the model has no single steps; the model must outlive the result and keep its weights.
    static std::unique_ptr<StepModel> make(const LanguageModel& model, const Options& options);

    // How many of `threads` are worth their meetings, by what they read and compute for a step.
    static int worthwhile_threads(const LanguageModel& model, int threads, int64_t rows, bool int8);

    // Takes over what a prompt left of one row; `position`: of its next token.
    void load(const State& state, int64_t row, int64_t position);
    // From now on these rows, in this order.
    void keep(std::span<const int64_t> rows);
    // Logits [rows][V] after one more token of each row.
    const float* next(std::span<const int64_t> tokens);

 private:
    StepModel(const LanguageModel& model, const Options& options);
    void add_embedding();
    // What leaves behind a layer (model/exits.h).
    void add_exit(size_t layer, const float* x);
    // The head's logits of rows that have not left.
    void add_last_logits(const float* h);
    // A row with what the head says at an exit.
    void leave(int64_t row, size_t exit, const float* logits);
    void count_exits();
    void embed(int64_t row);

    const LanguageModel& model_;
    StepProgram program_;
    std::vector<int64_t> tokens_, positions_;  // [rows]
    std::vector<int64_t> seen_;                // [rows][N-1], by the n-grams
    float* embedded_ = nullptr;                // tokens' vectors, where they have another width than x
    float* x_ = nullptr;
    float* logits_ = nullptr;
    StepOutput stack_;
    std::shared_ptr<const LeavingRule> leaving_;  // null: all rows go through all layers
    std::vector<Leaver> leavers_;                 // of rows, in a step
    std::vector<size_t> exit_of_;                 // likewise
    bool complete_ = false;                       // every part of the model has single steps
};

}  // namespace lithe

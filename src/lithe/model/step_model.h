// A language model that reads one token at a time at batch 1 on a CPU (nn/step_program.h).
#pragma once

#include "lithe/model/language_model.h"

namespace lithe {

class StepModel {
 public:
    struct Options {
        int64_t memory = 0;  // earlier positions that attention sees
        int threads = 1;
        bool int8 = false;  // weights as int8 codes with a scale per row
    };
    // Null where a block of the model has no single steps; the model must outlive the result and keep its weights.
    static std::unique_ptr<StepModel> make(const LanguageModel& model, const Options& options);

    // How many of `threads` are worth their meetings: a function of the model alone, so that a text is too.
    static int worthwhile_threads(const LanguageModel& model, int threads, bool int8);

    // Takes over what a prompt left; `position`: of the next token.
    void load(const State& state, int64_t position);
    // Logits [V] after one more token.
    const float* next(int64_t token);

 private:
    StepModel(const LanguageModel& model, const Options& options);
    void add_embedding();

    const LanguageModel& model_;
    StepProgram program_;
    std::vector<int64_t> seen_;  // by the n-grams
    int64_t token_ = 0, position_ = 0;
    float *x_ = nullptr, *logits_ = nullptr;
    StepOutput stack_;
};

}  // namespace lithe

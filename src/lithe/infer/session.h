// Rows of texts that a model reads on, each at a position of its own: rows come, go, and change places. On one thread
// at a time.
//
// Prompts are read by forward passes, tokens one by one by a program of single steps where the model has one
// (infer/step_model.h), else by forward passes of one step for all rows. A session chooses its path when it is opened.
#pragma once

#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "lithe/model/language_model.h"

namespace lithe {

class StepModel;

class Session {
 public:
    enum class Path { automatic, forward, steps };
    struct Options {
        int64_t most_rows = 1;         // rows at a time
        int64_t memory = 0;            // earlier positions that attention sees; 0: the model's own
        int64_t segment = 256;         // prompt tokens per forward pass
        bool keep_projections = true;  // keep keys and values; false: keep inputs and project them again
        bool int8 = false;             // of single steps: weights as int8 codes with a scale per row
        Path path = Path::automatic;
        std::stop_token stop = {};  // asked between the segments of prompts, which admit() then throws as stopped
    };
    // The model must outlive it and keep its weights. Throws usage for an encoder, which continues no text, and for
    // int8 or Path::steps where the model has no single steps.
    Session(const LanguageModel& model, const Options& options);
    ~Session();

    // Logits of what follows, [rows][vocabulary]; valid until the next call.
    struct Logits {
        const float* data = nullptr;
        int64_t rows = 0, vocabulary = 0;
        const float* row(int64_t number) const { return data + number * vocabulary; }
    };
    // New rows behind those that are there, each with its prompt read. `source`: of the new rows, where the model reads
    // one (LanguageModel::encode_source). Throws usage for an empty prompt, an id outside the vocabulary, a prompt
    // longer than the model's positions, and more rows than the session holds.
    Logits admit(const std::vector<std::vector<int64_t>>& prompts, const Bag& source = {});
    // One token more for each row.
    Logits step(std::span<const int64_t> tokens);
    // From now on these rows, in this order: the others are gone, and one that stands there twice goes on twice.
    void keep(std::span<const int64_t> rows);
    // Reads rows anew, each from its own tokens; returns their logits. Nothing is changed where it throws, as for a
    // stop.
    Logits restart(std::span<const int64_t> rows, const std::vector<std::vector<int64_t>>& prompts);

    int64_t rows() const { return int64_t(positions_.size()); }
    // Tokens that a row has read since it was admitted or restarted.
    int64_t position(int64_t row) const { return positions_[size_t(row)]; }
    // Whether a row has used up the model's absolute positions: it has to be restarted before its next step.
    bool full(int64_t row) const;
    bool by_steps() const { return program_ != nullptr; }
    const LanguageModel& model() const { return model_; }

 private:
    // Rows whose prompts end together.
    struct Group {
        std::vector<int64_t> rows;
        Tensor logits_RV;
        State state;
    };
    void check_rows(int64_t rows) const;
    void check(const std::vector<std::vector<int64_t>>& prompts) const;
    std::vector<Group> read(const std::vector<std::vector<int64_t>>& prompts, const Bag& source) const;
    LanguageModel::Next forward(const Tensor& ids_TB, const State& state, const Tensor& position_B, const Bag& source,
                                bool wants_logits) const;
    // New rows behind those that are there, as they were read.
    Logits add(const std::vector<std::vector<int64_t>>& prompts, const std::vector<Group>& groups);
    void take_over(const std::vector<Group>& groups, const std::vector<int64_t>& places);
    Logits logits_of(Tensor logits_RV);

    const LanguageModel& model_;
    Options options_;
    Pass pass_;
    std::unique_ptr<StepModel> program_;  // null: by forward passes
    State state_;                         // of all rows; with a program it has them
    std::vector<int64_t> positions_;
    Tensor logits_;
};

}  // namespace lithe

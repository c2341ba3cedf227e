// A training run, update by update: what `lithe train` does, in the caller's hands.
//
//   lithe::Training training = lithe::Training::open({.config = "small.toml", .run = "runs/mine"});
//   while (training.step()) {}
//
// A run is a folder: settings, checkpoints, metrics, samples. What is due between updates by the configuration
// (evaluations, checkpoints, samples) is done by step().
//
// Lifetime. A Training holds the run's folder locked until it is destroyed; the files of the text must stay as long.
// Destroying it saves nothing: save() does, and step() before it returns false. A Training that was moved from can be
// destroyed or assigned to, and nothing else.
//
// Thread safety. Calls of one Training need external synchronization. There may be one Training in a process at a time
// (its log file is the process's), beside any number of Models: open() throws failed while there is another, so
// destroy one before the next is opened.
//
// Errors. Lithe's own are lithe::Error (lithe/error.h); std::bad_alloc and LibTorch's come through. After an error of
// step() the run is over: open it again, and it goes on from its newest checkpoint.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "lithe/export.h"
#include "lithe/model.h"

namespace lithe {

struct TrainingOptions {
    std::string config = {};                 // a file (.toml); empty: every setting has its default
    std::vector<std::string> settings = {};  // "train.max_steps=100": they win over the file
    std::string text = {};                   // file, folder or token set; empty: what the settings say (data.path)
    std::string run = {};                    // the run's folder; one that holds a run goes on
    int threads = 0;                         // 0: what the settings say (train.threads)
    std::stop_token stop = {};               // the update that is being made is finished, and the run saved
};

struct TrainingProgress {
    int64_t step = 0;  // updates made, since the run began
    int64_t tokens = 0;
    double seconds = 0;         // of training
    double nats_per_token = 0;  // the loss of the last update since it was opened
};

class LITHE_API Training {
 public:
    // Checks everything that can be checked before the first update. Throws usage for settings that do not fit or
    // differ from the run's, bad_file for a text or checkpoint that cannot be read, resources where memory or disk are
    // too small, failed while another process trains in the folder, stopped when `stop` asks for it.
    static Training open(const TrainingOptions& options);
    Training(Training&& other) noexcept;
    Training& operator=(Training&& other) noexcept;
    ~Training();

    // Makes one update. False when there is none to be made, and the run is saved: see stopped_by(). Throws diverged
    // for a loss that is not finite, bad_file when the text is no longer what it was.
    bool step();
    // "steps", "tokens", "time": the budget is used up; "early_stop"; "signal": a stop was asked for; "": it goes on.
    const std::string& stopped_by() const;
    TrainingProgress progress() const;
    // The validation text, by today's weights or their average, where there is one. nullopt when a stop was asked for.
    // Throws usage where the text has no validation split.
    std::optional<TextScore> evaluate();
    // A checkpoint of the last update. False when the disk is full: earlier ones are kept, and it may be tried again.
    bool save();

 private:
    struct Impl;
    explicit Training(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace lithe

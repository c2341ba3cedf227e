// The files of one run: lock, resolved configuration, record of starts, metrics, samples, checkpoints, pointers.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lithe/base/file.h"
#include "lithe/formats/tfevents.h"
#include "lithe/model/checkpoint.h"

namespace lithe {

class RunFolder {
 public:
    // Creates the folder if needed and locks it. Throws when another process trains in it.
    explicit RunFolder(const std::string& path);

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    static bool has_run(const std::string& path);     // something was trained there before
    static bool looks_like(const std::string& path);  // a run with its settings, which can go on

    // Throws unless a run can be kept there: before anything that takes long. `fresh`: nothing may have been trained in
    // it.
    static void check_place(const std::string& path, bool fresh);

    // Removes what an interrupted save left behind.
    void clean();
    // The newest checkpoint that verifies; damaged ones are skipped with a warning that says why.
    static std::optional<CheckpointPlace> newest_valid(const std::string& run);
    // Cuts metrics and samples back to `step`; later lines go to *.superseded.jsonl. Events go on after it.
    void cut_back(int64_t step);
    // Checkpoints after `step` are of what is trained anew from there: they are called superseded-step-N from now on.
    void set_aside_after(int64_t step);
    // config.toml; a value that stays keeps its origin.
    void write_config(const Config& config);
    // The configuration or text that the run was begun with; empty when it was not recorded.
    static std::string source(const std::string& path);
    // Of the last start; empty when there was none.
    static std::string data_fingerprint(const std::string& path);

    // Appends one JSON line; a full disk is told once and does not stop the run.
    void metrics(const nlohmann::ordered_json& line);
    void choices(const nlohmann::ordered_json& line);
    void sample(const nlohmann::ordered_json& line);
    EventWriter& events();
    void record_start(nlohmann::ordered_json start);  // into run.json

    // Saves and moves `latest` (and `best`); removes old checkpoints beyond `keep`, never the best. Throws on failure.
    void save(int64_t step, const CheckpointContent& content, bool best, int64_t keep);

 private:
    void append(const char* name, const nlohmann::ordered_json& line);
    void remove_old(int64_t keep);
    std::string path_;
    std::unique_ptr<FileLock> lock_;
    std::unique_ptr<EventWriter> events_;
    int64_t first_step_ = 0;
    bool told_full_ = false;
};

}  // namespace lithe

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
    bool has_run() const;  // something was trained here before

    // Removes what an interrupted save left behind.
    void clean();
    // The newest checkpoint that verifies; damaged ones are skipped with a warning that says why.
    static std::optional<CheckpointPlace> newest_valid(const std::string& run);
    // Cuts metrics and samples back to `step`; later lines go to *.superseded.jsonl.
    void cut_back(int64_t step);

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
    bool told_full_ = false;
};

}  // namespace lithe

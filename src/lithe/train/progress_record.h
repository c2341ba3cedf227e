// The training seconds before each step of a run whose schedule is moved by time: entry N of the file is step N's. A
// run that goes on from an earlier checkpoint replays it, so that what is trained again has the rates that it had.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lithe {

class ProgressRecord {
 public:
    // Nothing is recorded yet; a file of an earlier run is removed.
    void start(const std::string& path);
    // Reads what an earlier start recorded. `seconds`: the training time at `step`, as the checkpoint has it. A record
    // that says otherwise there is not of this run, or lacks an entry before it: it is told of and left.
    void go_on(const std::string& path, int64_t step, double seconds);
    // The recorded time of this step; where there is none, `seconds`, which is recorded. What cannot be written now (a
    // full disk) is written later, at its place.
    double at(int64_t step, double seconds);

 private:
    void write();
    std::string path_;
    std::vector<double> seconds_;  // not a number: not known
    size_t written_ = 0;           // so many of them are in the file
};

}  // namespace lithe

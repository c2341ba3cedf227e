// Runs that an earlier version of the program left (tests/fixtures), unpacked for a test.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/files.h"

namespace lithe::testing {

class EarlierRuns {
 public:
    // `schema`: the folder of tests/fixtures. Its runs and their token set lie in the test's folder, which is the
    // current one from now on: the runs name their text as seen from there.
    explicit EarlierRuns(const std::string& schema)
        : before_(std::filesystem::current_path()),
          fixtures_(std::string(LITHE_SOURCE_FOLDER) + "/tests/fixtures/" + schema),
          expected_(nlohmann::ordered_json::parse(read_all(fixtures_ + "/expected.json"))) {
        unpack("tokens");
        for (const auto& [name, values] : expected_.items()) unpack(name);
        std::filesystem::current_path(folder_.path());
    }
    ~EarlierRuns() { std::filesystem::current_path(before_); }
    EarlierRuns(const EarlierRuns&) = delete;
    EarlierRuns& operator=(const EarlierRuns&) = delete;
    const nlohmann::ordered_json& expected() const { return expected_; }
    std::string folder(const std::string& run) const { return folder_.file(run); }
    std::string checkpoint(const std::string& run) const {
        return folder(run) + "/checkpoints/step-" + std::string(expected_.at(run).at("checkpoint"));
    }

 private:
    void unpack(const std::string& name) const {
        const std::string command =
            "base64 -d '" + fixtures_ + "/" + name + ".txt' | tar -xJf - -C '" + folder_.path() + "'";
        EXPECT_EQ(std::system(command.c_str()), 0) << command;
    }
    TemporaryFolder folder_;
    std::filesystem::path before_;
    std::string fixtures_;
    nlohmann::ordered_json expected_;
};

}  // namespace lithe::testing

// Runs the program in this process and keeps what it printed.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lithe/base/stop.h"
#include "lithe/cli/command.h"

namespace lithe::testing {

struct ProgramResult {
    int code = -1;
    std::string out, err;
    nlohmann::json json() const {  // the last line of stdout
        size_t end = out.find_last_not_of('\n'), begin = out.rfind('\n', end);
        return nlohmann::json::parse(out.substr(begin == std::string::npos ? 0 : begin + 1, end + 1), nullptr, false);
    }
};

inline ProgramResult run(std::vector<std::string> arguments) {
    clear_requests();
    arguments.insert(arguments.begin(), "lithe");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    ProgramResult result;
    result.code = run_program(arguments);
    result.out = ::testing::internal::GetCapturedStdout();
    result.err = ::testing::internal::GetCapturedStderr();
    return result;
}

}  // namespace lithe::testing

// Runs the program in this process and keeps what it printed.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lithe/cli/command.h"
#include "lithe/cli/signals.h"

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

// The program failed with this exit code, and its error has these words.
#define EXPECT_FAILS(result, exit_code, words)                                                                    \
    {                                                                                                             \
        auto r = result;                                                                                          \
        EXPECT_EQ(r.code, exit_code) << r.err;                                                                    \
        EXPECT_NE(r.err.find(words), std::string::npos) << "stderr was: " << r.err;                               \
        EXPECT_EQ(r.err.rfind("error: ", 0) != std::string::npos || r.err.find("\nerror: ") != std::string::npos, \
                  true)                                                                                           \
            << r.err;                                                                                             \
    }

// The one error type. A message says what is wrong, where, what was expected, what was found, and what to do.
//
//   error: <what> [<where>]: expected <expected>, got <got>
//   hint: <hint>
//
// Everything throws Error; one catch in cli/main.cpp turns it into words and an exit code.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace lithe {

enum class ExitCode {
    ok = 0,
    failed = 1,
    usage = 2,         // wrong flag or configuration
    bad_file = 3,      // bad data or model file
    resources = 4,     // out of memory or disk
    diverged = 5,      // loss not finite
    stopped = 75,      // stopped by a signal, resumable
    interrupted = 130  // interrupted twice
};

struct ErrorParts {
    ExitCode code = ExitCode::failed;
    std::string what;
    std::string where;
    std::string expected;
    std::string got;
    std::string hint;
};

class Error : public std::runtime_error {
 public:
    explicit Error(ErrorParts parts);
    ExitCode code() const { return parts_.code; }
    const ErrorParts& parts() const { return parts_; }

 private:
    ErrorParts parts_;
};

[[noreturn]] void fail(ErrorParts parts);
[[noreturn]] void fail_usage(std::string what, std::string where = "", std::string hint = "");
[[noreturn]] void fail_file(std::string what, std::string where = "", std::string hint = "");

// Collects problems so that all of them are told in one go.
class Problems {
 public:
    void add(std::string what, std::string where = "", std::string hint = "");
    bool empty() const { return lines_.empty(); }
    const std::vector<std::string>& lines() const { return lines_; }
    // Throws one usage error with every problem; returns when there is none.
    void throw_if_any(const std::string& subject) const;

 private:
    std::vector<std::string> lines_;
};

}  // namespace lithe

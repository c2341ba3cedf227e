// Throwing errors. Options, settings and commands in their texts are named by base/wording.h.
#pragma once

#include <string>
#include <vector>

#include "lithe/error.h"

namespace lithe {

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

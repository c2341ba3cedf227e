// The one error type. A message says what is wrong, where, what was expected, what was found, and what to do.
//
//   error: <what> [<where>]: expected <expected>, got <got>
//   hint: <hint>
//
// Whatever fails throws Error, or std::bad_alloc; what LibTorch throws (of std::exception) comes through as it is. A
// call that throws leaves its object as it was before, unless it says otherwise.
#pragma once

#include <stdexcept>
#include <string>

#include "lithe/export.h"

namespace lithe {

enum class ErrorKind {
    failed,     // none of the others
    usage,      // a wrong option or configuration
    bad_file,   // bad data or model file
    resources,  // out of memory or disk
    diverged,   // a loss that is not finite
    stopped     // a stop was asked for; what was done can be gone on with
};

struct ErrorParts {
    ErrorKind kind = ErrorKind::failed;
    std::string what;
    std::string where;
    std::string expected;
    std::string got;
    std::string hint;
};

class LITHE_API Error : public std::runtime_error {
 public:
    explicit Error(ErrorParts parts);
    ErrorKind kind() const { return parts_.kind; }
    const ErrorParts& parts() const { return parts_; }

 private:
    ErrorParts parts_;
};

}  // namespace lithe

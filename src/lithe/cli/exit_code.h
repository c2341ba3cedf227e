// What the process says of itself when it ends.
#pragma once

#include "lithe/base/error.h"

namespace lithe {

enum class ExitCode {
    ok = 0,
    failed = 1,
    usage = 2,
    bad_file = 3,
    resources = 4,
    diverged = 5,
    stopped = 75,  // by a signal, resumable
    interrupted = 130
};

constexpr ExitCode exit_code_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::failed: return ExitCode::failed;
        case ErrorKind::usage: return ExitCode::usage;
        case ErrorKind::bad_file: return ExitCode::bad_file;
        case ErrorKind::resources: return ExitCode::resources;
        case ErrorKind::diverged: return ExitCode::diverged;
        case ErrorKind::stopped: return ExitCode::stopped;
    }
    return ExitCode::failed;
}

}  // namespace lithe

// The program in a process of its own, which can be signalled and killed.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lithe/base/stop.h"
#include "lithe/cli/command.h"
#include "support/files.h"

namespace lithe::testing {

inline pid_t start(std::vector<std::string> arguments, const std::string& log) {
    arguments.insert(arguments.begin(), "lithe");
    pid_t child = fork();
    if (child != 0) return child;
    clear_requests();
    if (!freopen(log.c_str(), "a", stderr) || !freopen("/dev/null", "w", stdout)) _exit(99);
    int code = run_program(arguments);
    fflush(nullptr);
    _exit(code);
}

inline int finish(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

inline int run(const std::vector<std::string>& arguments, const std::string& log) {
    return finish(start(arguments, log));
}

inline void sleep_ms(int milliseconds) { usleep(useconds_t(milliseconds) * 1000); }

// Waits until the run has logged this step, or has ended.
inline void wait_for_step(const std::string& run, long long step, pid_t child) {
    const std::string path = run + "/metrics.jsonl";
    for (int polls = 0; polls < 60'000; ++polls, usleep(500)) {
        siginfo_t ended{};
        if (waitid(P_PID, id_t(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == child) return;
        if (!std::filesystem::exists(path)) continue;
        const std::string text = read_all(path);
        const size_t last = text.rfind("{\"step\":");
        if (last != std::string::npos && std::atoll(text.c_str() + last + 8) >= step) return;
    }
    ADD_FAILURE() << "the run never reached step " << step;
}

}  // namespace lithe::testing

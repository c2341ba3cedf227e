// The program in a process of its own, which can be signalled and killed.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lithe/cli/command.h"
#include "lithe/cli/signals.h"
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

inline bool has_ended(pid_t child) {
    siginfo_t ended{};
    return waitid(P_PID, id_t(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == child;
}

// Waits until `condition` holds or the child has ended.
template <class Condition> void wait_until(pid_t child, const char* what, const Condition& condition) {
    for (int polls = 0; polls < 600'000; ++polls, usleep(500))
        if (condition() || has_ended(child)) return;
    ADD_FAILURE() << "never came: " << what;
}

// The last step that a run has logged, 0 before the first.
inline long long logged_step(const std::string& run) {
    const std::string text = read_all(run + "/metrics.jsonl");
    const size_t last = text.rfind("{\"step\":");
    return last == std::string::npos ? 0 : std::atoll(text.c_str() + last + 8);
}

// Waits until the run has logged this step, or has ended.
inline void wait_for_step(const std::string& run, long long step, pid_t child) {
    wait_until(child, "a step of the run", [&] { return logged_step(run) >= step; });
}

}  // namespace lithe::testing

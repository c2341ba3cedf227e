#include "lithe/base/stop.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "lithe/base/mapping.h"

namespace lithe {
namespace {

std::atomic<int> interrupts{0};
std::atomic<bool> stop_flag{false};
std::atomic<bool> save_flag{false};

void on_signal(int signal) {
    if (signal == SIGUSR1) {
        save_flag = true;
        return;
    }
    if (signal == SIGINT && ++interrupts >= 2) _exit(130);
    stop_flag = true;
}

}  // namespace

void watch_signals() {
    static pid_t watched = 0;  // a fork has no watcher
    if (watched == getpid()) return;
    watched = getpid();
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([signals] {
        for (int signal = 0;;)
            if (sigwait(&signals, &signal) == 0) on_signal(signal);
    }).detach();
    // A reader that went away or a file-size limit shows as an error of write(), not as a killed process.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    watch_mappings();
}

bool stop_requested() { return stop_flag.load(std::memory_order_relaxed); }

bool take_save_request() { return save_flag.exchange(false); }

void request_stop() { stop_flag = true; }

void request_save() { save_flag = true; }

void clear_requests() {
    stop_flag = false;
    save_flag = false;
    interrupts = 0;
}

}  // namespace lithe

#include "lithe/cli/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include "lithe/base/mapping.h"
#include "lithe/cli/exit_code.h"

namespace lithe {
namespace {

std::atomic<int> interrupts{0};
std::atomic<bool> save_flag{false};

// A request cannot be taken back: another source follows it.
struct Requests {
    std::mutex mutex;
    std::stop_source source;
};

Requests& requests() {
    static Requests& instance = *new Requests;  // never destroyed: the watcher outlives main()
    return instance;
}

void request_stop() {
    std::lock_guard lock(requests().mutex);
    requests().source.request_stop();
}

void on_signal(int signal) {
    if (signal == SIGUSR1) {
        save_flag = true;
        return;
    }
    if (signal == SIGINT && ++interrupts >= 2) _exit(int(ExitCode::interrupted));
    request_stop();
}

void say(const char* text) { [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, std::strlen(text)); }

// A mapped file was cut off. Comes in the thread that reads, in the middle of the reading.
void on_bus_error(int, siginfo_t* info, void*) {
    const char* path = mapped_path(info->si_addr);
    if (!path) {
        std::signal(SIGBUS, SIG_DFL);  // not ours: it comes again at once
        return;
    }
    say("\nerror: the file was cut off, or its disk failed, while it was read [");
    say(path);
    say("]\nhint: ");
    say(kRestoreFile);
    say("\n");
    _exit(int(ExitCode::bad_file));
}

}  // namespace

void watch_mappings() {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, nullptr);
}

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

std::stop_token stop_by_signal() {
    std::lock_guard lock(requests().mutex);
    return requests().source.get_token();
}

bool take_save_request() { return save_flag.exchange(false); }

void clear_requests() {
    {
        std::lock_guard lock(requests().mutex);
        requests().source = std::stop_source();
    }
    save_flag = false;
    interrupts = 0;
}

}  // namespace lithe

#include "lithe/base/mapping.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace lithe {
namespace {

// Read by a signal handler, so without locks: a slot is free while `taken` is false, valid while `path` is set.
struct Mapping {
    std::atomic<bool> taken{false};
    std::atomic<uintptr_t> begin{0}, end{0};
    std::atomic<const char*> path{nullptr};
};
constexpr int kMappings = 4096;
Mapping mappings[kMappings];
int end_with = 1;

void say(const char* text) { [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, std::strlen(text)); }

// Comes in the thread that reads, in the middle of the reading.
void on_bus_error(int, siginfo_t* info, void*) {
    const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
    for (const Mapping& each : mappings) {
        const char* path = each.path.load();
        if (!path || at < each.begin.load() || at >= each.end.load()) continue;
        say("\nerror: the file was cut off, or its disk failed, while it was read [");
        say(path);
        say("]\nhint: ");
        say(kRestoreFile);
        say("\n");
        _exit(end_with);
    }
    std::signal(SIGBUS, SIG_DFL);  // not ours: it comes again at once
}

}  // namespace

void watch_mappings(int exit_code) {
    end_with = exit_code;
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, nullptr);
}

int register_mapping(const void* data, size_t size, const char* path) {
    for (int number = 0; number < kMappings; ++number) {
        Mapping& mapping = mappings[number];
        if (mapping.taken.exchange(true)) continue;
        mapping.begin = reinterpret_cast<uintptr_t>(data);
        mapping.end = reinterpret_cast<uintptr_t>(data) + size;
        mapping.path = path;
        return number;
    }
    return -1;
}

void forget_mapping(int number) {
    if (number < 0) return;
    mappings[number].path = nullptr;
    mappings[number].taken = false;
}

}  // namespace lithe

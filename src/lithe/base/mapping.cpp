#include "lithe/base/mapping.h"

#include <atomic>
#include <cstdint>

namespace lithe {
namespace {

// Read by signal handlers, so without locks: a slot is free while `taken` is false, valid while `path` is set.
struct Mapping {
    std::atomic<bool> taken{false};
    std::atomic<uintptr_t> begin{0}, end{0};
    std::atomic<const char*> path{nullptr};
};
constexpr int kMappings = 4096;
Mapping mappings[kMappings];

}  // namespace

const char* mapped_path(const void* address) {
    const auto at = reinterpret_cast<uintptr_t>(address);
    for (const Mapping& each : mappings) {
        const char* path = each.path.load();
        if (path && at >= each.begin.load() && at < each.end.load()) return path;
    }
    return nullptr;
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

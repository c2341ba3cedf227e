// What control groups leave to this process: processors and memory, of v1 and v2, of every level from the process's own
// group up to the root that is visible here.
// Source: Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2, proc(5) for /proc/self/cgroup and mountinfo.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lithe {

struct CgroupLimits {
    std::optional<double> processors;  // the smallest quota divided by its period
    std::optional<uint64_t> memory;    // bytes that may still be taken: the least of limit - used; used is without
                                       // what the kernel can drop (inactive pages of files)
};

// `root` stands before every path that is read: "" for this machine, a folder for a made tree in tests. What cannot be
// read or understood limits nothing.
CgroupLimits read_cgroup_limits(const std::string& root = "");

// Threads that can run at once: the affinity of this process, and not more than whole processors of its quota; at
// least 1.
int usable_processors();

}  // namespace lithe

#include "lithe/base/cgroup.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "lithe/base/text.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

// A mounted hierarchy: where it stands, and which group of it stands there.
struct Mount {
    std::string place, group;
};

// Names in mountinfo have \040 for a space, and likewise for tabs, line ends and backslashes.
std::string unescaped(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned code = 0;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
            out += char(code);
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

bool lists(const std::string& list, const std::string& name) {
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');)
        if (part == name) return true;
    return false;
}

// Of v2 where `controller` is empty, else of the v1 hierarchy that has the controller.
std::optional<Mount> find_mount(const std::string& root, const std::string& controller) {
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        const size_t dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
        std::string number, parent, device, group, place, type, source, options;
        before >> number >> parent >> device >> group >> place;
        after >> type >> source >> options;
        if (controller.empty() ? type == "cgroup2" : type == "cgroup" && lists(options, controller))
            return Mount{root + unescaped(place), unescaped(group)};
    }
    return std::nullopt;
}

// This process's group in that hierarchy, as /proc/self/cgroup has it.
std::optional<std::string> find_group(const std::string& root, const std::string& controller) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (controller.empty() ? line.rfind("0::", 0) == 0 : lists(controllers, controller))
            return line.substr(second + 1);
    }
    return std::nullopt;
}

// The folders of the group and of all above it, as far as they are visible. A container often sees its own group as the
// root of the mount, and /proc/self/cgroup names it as the host does: then the mount's root is all there is.
std::vector<std::string> group_folders(const std::string& root, const std::string& controller) {
    const auto mount = find_mount(root, controller);
    const auto group = find_group(root, controller);
    if (!mount) return {};
    std::vector<std::string> folders{mount->place};
    if (!group) return folders;
    std::string below = *group;
    if (mount->group != "/" && below.rfind(mount->group, 0) == 0) below = below.substr(mount->group.size());
    std::string folder = mount->place;
    std::istringstream parts(below);
    for (std::string part; std::getline(parts, part, '/');) {
        if (part.empty() || part == "..") continue;
        folder += "/" + part;
        std::error_code error;
        if (!fs::is_directory(folder, error)) break;
        folders.push_back(folder);
    }
    return folders;
}

// nullopt for "max", for what is missing and for what is no number.
std::optional<double> number_in(const std::string& path) {
    std::ifstream file(path);
    double value = 0;
    return file >> value ? std::optional<double>(value) : std::nullopt;
}

// The line "NAME VALUE" of a file of such lines.
double line_of(const std::string& path, const std::string& name) {
    std::ifstream file(path);
    double value = 0;
    for (std::string key; file >> key >> value;)
        if (key == name) return value;
    return 0;
}

template <class T> void take_least(std::optional<T>& least, T value) {
    least = least ? std::min(*least, value) : value;
}

void take_memory(CgroupLimits& limits, double limit, double used, double droppable) {
    if (limit >= 0x1p60) return;  // v1's way to say that there is none
    take_least(limits.memory, uint64_t(std::max(0.0, limit - std::max(0.0, used - droppable))));
}

void take_quota(CgroupLimits& limits, double quota, double period) {
    if (quota > 0 && period > 0) take_least(limits.processors, quota / period);
}

void read_v2(const std::string& folder, CgroupLimits& limits) {
    if (const auto limit = number_in(folder + "/memory.max"))
        take_memory(limits, *limit, number_in(folder + "/memory.current").value_or(0),
                    line_of(folder + "/memory.stat", "inactive_file"));
    std::ifstream file(folder + "/cpu.max");  // "QUOTA PERIOD" or "max PERIOD"
    double quota = 0, period = 0;
    if (file >> quota >> period) take_quota(limits, quota, period);
}

}  // namespace

CgroupLimits read_cgroup_limits(const std::string& root) {
    CgroupLimits limits;
    for (const std::string& folder : group_folders(root, "")) read_v2(folder, limits);
    for (const std::string& folder : group_folders(root, "memory"))
        if (const auto limit = number_in(folder + "/memory.limit_in_bytes"))
            take_memory(limits, *limit, number_in(folder + "/memory.usage_in_bytes").value_or(0),
                        line_of(folder + "/memory.stat", "total_inactive_file"));
    for (const std::string& folder : group_folders(root, "cpu"))
        take_quota(limits, number_in(folder + "/cpu.cfs_quota_us").value_or(0),
                   number_in(folder + "/cpu.cfs_period_us").value_or(0));
    return limits;
}

int usable_processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    // more processors than the set has room for: the call fails
    const int affinity = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    const double quota = read_cgroup_limits().processors.value_or(affinity);
    return std::max(1, std::min(affinity, int(quota + 1e-6)));
}

}  // namespace lithe

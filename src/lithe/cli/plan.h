// What `lithe plan` and `lithe train TEXT` share.
#pragma once

#include "lithe/cli/command.h"
#include "lithe/plan/planner.h"

namespace lithe {

struct PlanFlags {
    std::string memory, latency;  // as given
    void add_to(CLI::App& app);
    bool given() const { return !memory.empty() || !latency.empty(); }
};

// "512M", "4G", "4GiB" as bytes: powers of 1024 with an i, else of 1000. Throws usage.
double parse_memory(const std::string& text);

// "data.path=..." as of --set.
std::string data_path_setting(const std::string& path);

// Throws usage for amounts that cannot be read. `max_time` empty: ten minutes.
PlanRequest plan_request(const std::string& text, const std::string& max_time, const PlanFlags& flags,
                         std::vector<std::string> sets);

}  // namespace lithe

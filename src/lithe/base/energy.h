// Energy that the processor packages have taken, where Linux lets a program read it (powercap's RAPL counters).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lithe {

class EnergyMeter {
 public:
    // `folder` holds intel-rapl:N/{energy_uj,max_energy_range_uj}; AMD's counters bear the same name. Without readable
    // counters nothing is measured.
    explicit EnergyMeter(const std::string& folder = "/sys/class/powercap");
    // Joules of all packages since the last call (or construction). Counters wrap around: call at least once a minute.
    // nullopt: not measured.
    std::optional<double> take();

 private:
    struct Package {
        std::string counter;
        uint64_t range = 0, last = 0;
    };
    std::vector<Package> packages_;
};

}  // namespace lithe

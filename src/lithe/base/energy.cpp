#include "lithe/base/energy.h"

#include <filesystem>
#include <fstream>

namespace lithe {
namespace fs = std::filesystem;
namespace {

std::optional<uint64_t> read_number(const std::string& path) {
    std::ifstream in(path);
    uint64_t value = 0;
    if (!(in >> value)) return std::nullopt;
    return value;
}

// "intel-rapl:0" is a package; "intel-rapl:0:1" a part of it.
bool is_package(const std::string& name) {
    return name.rfind("intel-rapl:", 0) == 0 && name.find(':', 11) == std::string::npos;
}

}  // namespace

EnergyMeter::EnergyMeter(const std::string& folder) {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder, none)) {
        if (!is_package(entry.path().filename().string())) continue;
        const std::string counter = entry.path() / "energy_uj";
        const auto now = read_number(counter), range = read_number(entry.path() / "max_energy_range_uj");
        if (now && range) packages_.push_back({counter, *range, *now});
    }
}

std::optional<double> EnergyMeter::take() {
    if (packages_.empty()) return std::nullopt;
    double joules = 0;
    for (Package& package : packages_) {
        const auto now = read_number(package.counter);
        if (!now) return std::nullopt;
        joules += double(*now >= package.last ? *now - package.last : *now + package.range - package.last) * 1e-6;
        package.last = *now;
    }
    return joules;
}

}  // namespace lithe

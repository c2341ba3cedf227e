#include "lithe/base/energy.h"

#include <gtest/gtest.h>

#include "support/files.h"

namespace lithe {
namespace {

TEST(Energy, AddsPackagesAndWraps) {
    testing::TemporaryFolder folder;
    auto set = [&](const char* zone, const char* value) {
        folder.write(std::string(zone) + "/energy_uj", value);
        folder.write(std::string(zone) + "/max_energy_range_uj", "10000000\n");
    };
    set("intel-rapl:0", "1000000\n");
    set("intel-rapl:1", "9000000\n");
    set("intel-rapl:0:0", "5\n");
    EnergyMeter meter(folder.path());
    EXPECT_NEAR(*meter.take(), 0, 1e-9);
    set("intel-rapl:0", "3500000\n");
    set("intel-rapl:1", "500000\n");
    set("intel-rapl:0:0", "900000\n");
    EXPECT_NEAR(*meter.take(), 2.5 + 1.5, 1e-9) << "a part of a package is not counted again";
    EXPECT_NEAR(*meter.take(), 0, 1e-9);
}

TEST(Energy, WithoutCountersNothingIsMeasured) {
    testing::TemporaryFolder folder;
    EXPECT_FALSE(EnergyMeter(folder.path()).take());
    EXPECT_FALSE(EnergyMeter(folder.file("absent")).take());
}

}  // namespace
}  // namespace lithe

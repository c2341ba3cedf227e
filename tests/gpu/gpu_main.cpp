#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "gpu/devices.h"
#include "lithe/base/log.h"

constexpr int kSkipped = 77;  // CTest's SKIP_RETURN_CODE

int main(int argc, char** argv) {
    lithe::ops::initialize();
    lithe::set_log_level(lithe::LogLevel::quiet);
    ::testing::InitGoogleTest(&argc, argv);
    if (lithe::testing::device_under_test().is_cuda() && !lithe::ops::cuda_status().available) {
        std::cout << "skipped: " << lithe::ops::cuda_status().reason << "\n";
        return kSkipped;
    }
    return RUN_ALL_TESTS();
}

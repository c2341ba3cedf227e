#include <gtest/gtest.h>

#include <iostream>

#include "lithe/base/log.h"
#include "lithe/ops/torch.h"

int main(int argc, char** argv) {
    lithe::ops::initialize();
    lithe::set_log_level(lithe::LogLevel::quiet);
    ::testing::InitGoogleTest(&argc, argv);
    if (!lithe::ops::cuda_status().available)
        std::cout << "no GPU (" << lithe::ops::cuda_status().reason << "): the CPU is compared with itself\n";
    return RUN_ALL_TESTS();
}

#include <gtest/gtest.h>

#include "lithe/base/log.h"
#include "lithe/ops/torch.h"

int main(int argc, char** argv) {
    lithe::ops::initialize();
    lithe::set_log_level(lithe::LogLevel::quiet);
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}

#include <gtest/gtest.h>

#include "lithe/base/log.h"
#include "lithe/ops/torch.h"

int main(int argc, char** argv) {
    constexpr int kSkipped = 77;  // CTest's SKIP_RETURN_CODE of this program
    lithe::ops::initialize();
    lithe::set_log_level(lithe::LogLevel::quiet);
    ::testing::InitGoogleTest(&argc, argv);
    const int result = RUN_ALL_TESTS();
    return result == 0 && !lithe::ops::cuda_status().available ? kSkipped : result;
}

// Numbers that are as good as random and the same everywhere: s sin(a i + b). tests/golden/golden.py has them too.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lithe/ops/torch.h"

namespace lithe::testing {

inline Tensor wave(at::IntArrayRef sizes, double a, double b, double scale, at::ScalarType type = at::kDouble) {
    int64_t count = 1;
    for (int64_t size : sizes) count *= size;
    Tensor i = at::arange(count, at::kDouble);
    return ((i * a + b).sin() * scale).view(sizes).to(type);
}

inline Tensor cosine(at::IntArrayRef sizes, double a, double b = 0) { return wave(sizes, a, b + M_PI / 2, 1.0); }

inline void expect_values(const Tensor& tensor, const std::vector<double>& expected, double tolerance,
                          const std::string& what) {
    ASSERT_TRUE(tensor.defined()) << what;
    Tensor flat = tensor.detach().to(at::kDouble).contiguous().flatten();
    ASSERT_EQ(flat.numel(), int64_t(expected.size())) << what;
    for (size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(flat.data_ptr<double>()[i], expected[i], tolerance) << what << " element " << i;
}

inline void expect_close(const Tensor& got, const Tensor& expected, double tolerance, const std::string& what) {
    ASSERT_EQ(got.sizes(), expected.sizes()) << what;
    if (got.numel() == 0) return;
    double error = (got.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
    EXPECT_LE(error, tolerance) << what;  // NaN fails too
}

}  // namespace lithe::testing

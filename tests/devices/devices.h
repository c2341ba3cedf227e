// The same work on the CPU and on the GPU, compared.
#pragma once

#include <torch/csrc/autograd/autograd.h>

#include <cstdlib>
#include <functional>

#include "lithe/base/position_flags.h"
#include "support/waves.h"

namespace lithe::testing {

// Where the second run goes.
inline at::Device device_under_test() { return at::Device(at::kCUDA, 0); }

// To be called in SetUp: on a machine without a GPU the test is skipped.
inline void skip_without_gpu() {
    if (!ops::cuda_status().available) GTEST_SKIP() << "no GPU: " << ops::cuda_status().reason;
}

class GpuTest : public ::testing::Test {
 protected:
    void SetUp() override { skip_without_gpu(); }
};

inline std::vector<at::Device> both_devices() { return {at::kCPU, device_under_test()}; }

inline Tensor moved(const Tensor& tensor, at::Device device) {
    return tensor.defined() ? tensor.detach().to(device).set_requires_grad(tensor.requires_grad()) : tensor;
}

// Errors are relative to 1 + the largest expected number, so that sums over many elements may differ by their order.
inline void expect_near(const Tensor& got, const Tensor& expected, double tolerance, const std::string& what) {
    ASSERT_EQ(got.defined(), expected.defined()) << what;
    if (!got.defined()) return;
    ASSERT_EQ(got.sizes(), expected.sizes()) << what;
    ASSERT_EQ(got.scalar_type(), expected.scalar_type()) << what;
    if (got.numel() == 0) return;
    const Tensor a = got.detach().to(at::kCPU, at::kDouble), b = expected.detach().to(at::kCPU, at::kDouble);
    const double error = ((a - b).abs().max() / (1 + b.abs().max())).item<double>();
    EXPECT_LE(error, tolerance) << what;  // NaN fails too
}

inline double tolerance_of(at::ScalarType type) {
    return type == at::kDouble ? 1e-11 : type == at::kFloat ? 2e-5 : 2e-2;
}

using Tensors = std::vector<Tensor>;

// Runs `f` on both devices; its outputs, and the gradients of those inputs that want one, must be the same.
inline void expect_same(const std::function<Tensors(const Tensors&)>& f, const Tensors& inputs, double tolerance,
                        const std::string& what) {
    std::vector<Tensors> results;
    for (const at::Device device : both_devices()) {
        Tensors leaves;
        for (const Tensor& each : inputs) leaves.push_back(moved(each, device));
        Tensors out = f(leaves), roots, gradients;
        for (const Tensor& each : out) {
            if (!each.requires_grad()) continue;
            roots.push_back(each);
            gradients.push_back(wave(each.sizes(), 0.3, 1.57, 1.0, each.scalar_type()).to(device));
        }
        if (!roots.empty()) torch::autograd::backward(roots, gradients);
        Tensors result(out.begin(), out.end());
        for (const Tensor& each : leaves)
            result.push_back(each.defined() && each.requires_grad() ? each.grad() : Tensor());
        results.push_back(std::move(result));
    }
    ASSERT_EQ(results[0].size(), results[1].size());
    const size_t outputs = results[0].size() - inputs.size();
    for (size_t i = 0; i < results[0].size(); ++i)
        expect_near(results[1][i], results[0][i], tolerance,
                    what + (i < outputs ? ", output " + std::to_string(i)
                                        : ", gradient of input " + std::to_string(i - outputs)));
}

inline const char* type_name(at::ScalarType type) {
    return type == at::kDouble ? "fp64" : type == at::kFloat ? "fp32" : "bf16";
}

constexpr at::ScalarType kTypes[] = {at::kDouble, at::kFloat, at::kBFloat16};

inline Tensor leaf(at::IntArrayRef sizes, double a, double b, double scale, at::ScalarType type) {
    return wave(sizes, a, b, scale, type).requires_grad_();
}

// Some rows begin anew, some steps are padding.
inline Tensor some_flags(int64_t steps, int64_t batch) {
    Tensor flags = at::zeros({steps, batch}, at::kByte);
    flags[steps / 2][0] = int(kDocumentBegins);
    if (batch > 1) flags.select(1, batch - 1).narrow(0, 0, (steps + 2) / 3).fill_(int(kPadding));
    return flags;
}

inline std::string sizes_name(const char* op, at::ScalarType type, std::initializer_list<int64_t> sizes) {
    std::string name = std::string(op) + " " + type_name(type);
    for (int64_t each : sizes) name += " " + std::to_string(each);
    return name;
}

}  // namespace lithe::testing

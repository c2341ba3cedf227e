// The tensors that operators work on, and the bridge from tensors to kernel pointers.
#pragma once

#include <ATen/ATen.h>

#include <string>

#include "lithe/base/error.h"
#include "lithe/kernels/types.h"

namespace lithe {

using at::Tensor;

namespace ops {

// Routes kernels' parallel loops to LibTorch's thread pool and loads what a GPU needs. Before any other call; only
// the first one does it.
void initialize();

// Throws an Error that names the operator when `condition` is false.
void check(bool condition, const char* op, const std::string& what);
std::string shape_of(const Tensor& tensor);
std::string shape_of(at::IntArrayRef sizes);

// Calls `f` with a null pointer of the kernel's storage type: f((float*)nullptr) and so on.
template <class F> void for_storage(at::ScalarType type, const char* op, const F& f) {
    switch (type) {
        case at::kFloat: return f(static_cast<float*>(nullptr));
        case at::kBFloat16: return f(static_cast<kernels::bfloat16*>(nullptr));
        case at::kDouble: return f(static_cast<double*>(nullptr));
        default: check(false, op, std::string("expected fp32, bf16 or fp64, got ") + at::toString(type));
    }
}

template <class T> T* pointer(const Tensor& tensor) {
    return tensor.defined() && tensor.numel() > 0 ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

// The type of state and accumulation for this storage type.
inline at::ScalarType compute_type(at::ScalarType storage) { return storage == at::kDouble ? at::kDouble : at::kFloat; }

// The current stream of a CUDA tensor's device; throws where the CUDA kernels are not loaded.
void* stream_of(const Tensor& tensor, const char* op);
void check_cuda(int status, const char* op);

// Whether a GPU can be used, and if not, why.
struct CudaStatus {
    bool available = false;
    std::string reason;
};
const CudaStatus& cuda_status();

// Waits for all work on the device; a CPU's is done.
void synchronize(at::Device device);

}  // namespace ops
}  // namespace lithe

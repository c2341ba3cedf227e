#include "lithe/ops/torch.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <torch/version.h>

#include <filesystem>
#include <mutex>
#include <set>
#include <sstream>

#include "lithe/base/cgroup.h"
#include "lithe/base/log.h"
#include "lithe/base/parallel.h"
#include "lithe/kernels/cuda.h"

namespace lithe::ops {
namespace {

void torch_parallel(int64_t count, int64_t grain, RangeFunction body) {
    at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) { body(begin, end); });
}

std::string folder_of(const void* symbol) {
    Dl_info info{};
    if (!dladdr(symbol, &info) || !info.dli_fname) return ".";
    return std::filesystem::path(info.dli_fname).parent_path().string();
}

// Beside what this code is a part of, the program or liblithe.so; an installed program has its libraries in ../lib.
std::string own_cuda_library() {
    Dl_info info{};
    link_map* map = nullptr;
    const auto* here = reinterpret_cast<const void*>(&own_cuda_library);
    const bool known = dladdr1(here, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0;
    const bool program = !known || !map || !map->l_name || *map->l_name == 0;
    const std::filesystem::path own = program ? std::filesystem::read_symlink("/proc/self/exe") : map->l_name;
    const std::string name = "liblithe_cuda.so", beside = own.parent_path() / name;
    const std::string installed = own.parent_path().parent_path() / "lib" / name;
    return !std::filesystem::exists(beside) && std::filesystem::exists(installed) ? installed : beside;
}

// LibTorch 2.11 is the first that gives a stream of any device as a plain handle.
constexpr bool kHasStreams = TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 11;

template <class Stream> void* handle_of(const Stream& stream) {
    if constexpr (kHasStreams) return stream.native_handle();
    else return nullptr;  // never asked for: load_gpu() finds no GPU
}

// Any look at the device before libtorch_cuda.so is loaded freezes LibTorch's stub without CUDA for the process.
CudaStatus load_gpu() {
    if (!kHasStreams) return {false, "a GPU needs LibTorch 2.11 or newer, this is " TORCH_VERSION};
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL)) return {false, "no NVIDIA driver (libcuda.so.1)"};
    std::string torch = folder_of(reinterpret_cast<const void*>(&at::globalContext)) + "/libtorch_cuda.so";
    if (!dlopen(torch.c_str(), RTLD_NOW | RTLD_GLOBAL))
        return {false, std::string(dlerror()) + "; fetch the CUDA libraries with: ./dev setup --cuda"};
    if (!at::hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0) return {false, "the driver shows no device"};
    const char* reason = nullptr;
    if (!kernels::load_cuda(own_cuda_library().c_str(), &reason))
        return {false, std::string("liblithe_cuda.so: ") + reason};
    return {true, ""};
}

// LibTorch's warnings are for who writes operators: each is told once, to who asked for more words.
class Warnings : public c10::WarningHandler {
    void process(const c10::Warning& warning) override {
        if (told_.insert(warning.msg()).second) log_verbose("LibTorch: " + warning.msg());
    }
    std::set<std::string> told_;
};

CudaStatus status_;

}  // namespace

static void initialize_once() {
    // LibTorch asks for huge pages: large tensors are read twice as fast where address translation is virtualised
    setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    status_ = load_gpu();
    if (status_.available) {  // the same bits every time
        at::globalContext().setDeterministicAlgorithms(true, false);
        at::globalContext().setDeterministicFillUninitializedMemory(false);
        // fp32 means fp32: cuDNN's recurrent layers would round to TF32
        at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::RNN,
                                                at::Float32Precision::IEEE);
    }
    set_parallel_backend(torch_parallel);
    // LibTorch counts processors and knows of no quota
    if (const int usable = usable_processors(); at::get_num_threads() > usable) at::set_num_threads(usable);
    static Warnings warnings;
    c10::WarningUtils::set_warning_handler(&warnings);
}

void initialize() {
    static std::once_flag once;
    std::call_once(once, initialize_once);
}

const CudaStatus& cuda_status() { return status_; }

void check(bool condition, const char* op, const std::string& what) {
    if (!condition) fail({.what = std::string(op) + ": " + what});
}

std::string shape_of(at::IntArrayRef sizes) {
    std::ostringstream out;
    out << sizes;
    return out.str();
}

std::string shape_of(const Tensor& tensor) { return tensor.defined() ? shape_of(tensor.sizes()) : "nothing"; }

void synchronize(at::Device device) {
    if (device.is_cuda()) c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(device.index());
}

void* stream_of(const Tensor& tensor, const char* op) {
    check(kernels::cuda_table() != nullptr, op, "this machine's CUDA kernels are not loaded: " + status_.reason);
    c10::impl::VirtualGuardImpl guard(at::kCUDA);
    return handle_of(guard.getStream(tensor.device()));
}

void check_cuda(int status, const char* op) {
    check(status == 0, op,
          std::string("CUDA error: ") + (kernels::cuda_table() ? kernels::cuda_table()->error_text(status) : "?"));
}

}  // namespace lithe::ops

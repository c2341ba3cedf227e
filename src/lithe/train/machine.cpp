#include "lithe/train/machine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "lithe/base/cgroup.h"
#include "lithe/kernels/isa.h"

namespace lithe {
namespace {

// LibTorch's default fp32 products take an AVX2 path on AMD; with AVX-512 its oneDNN path keeps fp32 arithmetic where
// there is no AMX and is twice as fast. The switch is called "BF16" and would round on AMX machines, so its error is
// measured and it is undone when it rounds. Without AVX-512 LibTorch does not heed it.
std::string choose_fp32_products() {
    if (!kernels::isa_available(kernels::Isa::avx512)) return "LibTorch's default";
    auto set = [](at::Float32Precision precision) {
        at::globalContext().setFloat32Precision(at::Float32Backend::MKLDNN, at::Float32Op::MATMUL, precision);
    };
    Tensor a = at::arange(256 * 256, at::kFloat).mul(0.37).sin().view({256, 256});
    Tensor exact = at::mm(a.to(at::kDouble), a.t().to(at::kDouble));
    auto error = [&] {
        return (at::mm(a, a.t()).to(at::kDouble) - exact).abs().max().item<double>() / exact.abs().max().item<double>();
    };
    set(at::Float32Precision::BF16);
    if (error() < 1e-5) return "oneDNN, fp32 arithmetic";
    set(at::Float32Precision::NONE);
    return "LibTorch's default";
}

// Chosen once, for the choice is the process's.
const std::string& fp32_products() {
    static const std::string products = choose_fp32_products();
    return products;
}

// AMX's tiles of bf16, of this processor.
bool has_bf16_tiles() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kFeatures = 7, kBf16Tiles = 1u << 22, kTiles = 1u << 24;
    return __get_cpuid_count(kFeatures, 0, &a, &b, &c, &d) && (d & kBf16Tiles) && (d & kTiles);
#else
    return false;
#endif
}

bool is_intel() {
#if defined(__x86_64__)
    return __builtin_cpu_is("intel");
#else
    return false;
#endif
}

}  // namespace

Precision precision_of_cpu() {
    const bool faster = kernels::has_bf16_products() && (!is_intel() || has_bf16_tiles());
    return faster ? Precision::bf16 : Precision::fp32;
}

Machine set_up_machine(TrainConfig& train) {
    Machine machine;
    machine.cpu = kernels::cpu_name();
    if (train.threads == 0) train.threads = usable_processors();
    machine.threads = int(train.threads);
    if (at::get_num_threads() != machine.threads) at::set_num_threads(machine.threads);
    const ops::CudaStatus& cuda = ops::cuda_status();
    if (train.device == DeviceKind::automatic) train.device = cuda.available ? DeviceKind::cuda : DeviceKind::cpu;
    if (train.device == DeviceKind::cuda && !cuda.available)
        fail_usage("train.device = \"cuda\": " + cuda.reason, "train.device");
    machine.device = train.device == DeviceKind::cuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
    if (train.precision == Precision::automatic)
        train.precision = train.device == DeviceKind::cuda ? Precision::bf16 : precision_of_cpu();
    machine.precision = train.precision;
    machine.working = train.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
    machine.products = train.device == DeviceKind::cpu ? fp32_products() : "cuBLAS";
    return machine;
}

}  // namespace lithe

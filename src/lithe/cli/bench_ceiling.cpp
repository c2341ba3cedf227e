
#include "lithe/base/timer.h"
#include "lithe/cli/bench.h"
#include "lithe/kernels/isa.h"
#include "lithe/ops/torch.h"

namespace lithe {
namespace {

// Seconds of one call on the device: the best of a few, for a ceiling is what the machine can do, not what it does on
// average. A GPU is given a row of calls, so that its queue never runs dry.
template <class F> double best_seconds(at::Device device, const F& call) {
    const int calls = device.is_cuda() ? 20 : 1;
    double best = 0;
    for (int i = 0; i < 12; ++i) {
        ops::synchronize(device);
        Timer timer;
        for (int each = 0; each < calls; ++each) call();
        ops::synchronize(device);
        const double seconds = timer.seconds() / calls;
        if (i == 2 || (i > 2 && seconds < best)) best = seconds;
    }
    return best;
}

double product_gflops(at::ScalarType type, at::Device device) {
    const int64_t m = device.is_cuda() ? 8192 : 4096, k = device.is_cuda() ? 4096 : 512,
                  n = device.is_cuda() ? 8192 : 1536;
    // waves: a product of ones draws less power, and a GPU then runs faster than real numbers let it
    const auto wave = [&](int64_t rows, int64_t columns) {
        return at::arange(rows * columns, at::TensorOptions(at::kFloat).device(device))
            .sin_()
            .view({rows, columns})
            .to(type);
    };
    const Tensor a = wave(m, k), b = wave(k, n);
    Tensor c = at::empty({m, n}, a.options());
    return 2.0 * double(m) * double(k) * double(n) / best_seconds(device, [&] { at::mm_out(c, a, b); }) / 1e9;
}

double stream_bandwidth(at::Device device) {
    // 256 MiB or 1 GiB, far beyond the caches
    Tensor x = at::ones({device.is_cuda() ? 256 << 20 : 64 << 20}, at::TensorOptions(at::kFloat).device(device));
    return 2.0 * double(x.nbytes()) / best_seconds(device, [&] { x.mul_(1.0001); }) / 1e9;
}

}  // namespace

Ceiling measure_ceiling(bool products, at::Device device) {
    Ceiling ceiling{.device = device};
    ceiling.stream_gb_per_s = stream_bandwidth(device);
    if (products) {
        ceiling.fp32_gflops = product_gflops(at::kFloat, device);
        if (device.is_cuda() || kernels::has_bf16_products())
            ceiling.bf16_gflops = product_gflops(at::kBFloat16, device);
    }
    return ceiling;
}

nlohmann::ordered_json machine_json(int64_t threads, const Ceiling& ceiling) {
    nlohmann::ordered_json json = {
        {"cpu", kernels::cpu_name()}, {"threads", threads}, {"isa", kernels::isa_name(kernels::selected_isa())}};
    json["device"] = ceiling.device.str();
    if (ceiling.fp32_gflops > 0) json["peak_gflops"] = {{"fp32", ceiling.fp32_gflops}, {"bf16", ceiling.bf16_gflops}};
    json["copy_gb_per_s"] = ceiling.stream_gb_per_s;
    return json;
}

}  // namespace lithe

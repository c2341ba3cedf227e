
#include "lithe/base/timer.h"
#include "lithe/cli/bench.h"
#include "lithe/kernels/isa.h"
#include "lithe/ops/torch.h"

namespace lithe {
namespace {

// The best of a few: a ceiling is what the machine can do, not what it does on average.
double product_gflops(at::ScalarType type) {
    constexpr int64_t m = 4096, k = 512, n = 1536;
    Tensor a = at::ones({m, k}, type), b = at::ones({k, n}, type), c = at::empty({m, n}, type);
    double best = 0;
    for (int i = 0; i < 12; ++i) {
        Timer timer;
        at::mm_out(c, a, b);
        if (i >= 2) best = std::max(best, 2.0 * m * k * n / timer.seconds() / 1e9);
    }
    return best;
}

double stream_bandwidth() {
    Tensor x = at::ones({64 << 20}, at::kFloat);  // 256 MiB, far beyond the caches
    double best = 0;
    for (int i = 0; i < 6; ++i) {
        Timer timer;
        x.mul_(1.0001);
        if (i >= 1) best = std::max(best, 2.0 * double(x.nbytes()) / timer.seconds() / 1e9);
    }
    return best;
}

}  // namespace

Ceiling measure_ceiling(bool products) {
    Ceiling ceiling;
    ceiling.stream_gb_per_s = stream_bandwidth();
    if (products) {
        ceiling.fp32_gflops = product_gflops(at::kFloat);
        if (kernels::has_bf16_products()) ceiling.bf16_gflops = product_gflops(at::kBFloat16);
    }
    return ceiling;
}

nlohmann::ordered_json machine_json(int64_t threads, const Ceiling& ceiling) {
    nlohmann::ordered_json json = {
        {"cpu", kernels::cpu_name()}, {"threads", threads}, {"isa", kernels::isa_name(kernels::selected_isa())}};
    if (ceiling.fp32_gflops > 0) json["peak_gflops"] = {{"fp32", ceiling.fp32_gflops}, {"bf16", ceiling.bf16_gflops}};
    json["copy_gb_per_s"] = ceiling.stream_gb_per_s;
    return json;
}

}  // namespace lithe

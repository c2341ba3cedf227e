// `lithe bench`: five commands, one way to print.
#pragma once

#include <string>
#include <vector>

#include "lithe/base/median.h"
#include "lithe/cli/command.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/torch.h"
#include "lithe/spec/config_run.h"

namespace lithe {

struct BenchFlags {
    int64_t threads = 0;
    int repeats = 7;
    bool profile = false;
    std::string only, precision = "both";
    DeviceKind device = DeviceKind::automatic;
    std::string config;                // a configuration file to measure instead of the known models
    std::vector<std::string> configs;  // latency: files
    std::vector<int64_t> rows = {1};   // generate: texts at a time
};

int bench_kernels(const BenchFlags& flags, const CommandContext& context);
int bench_train(const BenchFlags& flags, const CommandContext& context);
int bench_generate(const BenchFlags& flags, const CommandContext& context);
int bench_evaluate(const BenchFlags& flags, const CommandContext& context);
int bench_latency(const BenchFlags& flags, const CommandContext& context);

int finish_bench(const nlohmann::ordered_json& machine, const nlohmann::ordered_json& results,
                 const CommandContext& context);

// Phases and operators of one step, from the profile of `steps` steps: time, share, GF/s, GB/s.
nlohmann::ordered_json profile_json(const std::vector<ops::ProfileRow>& rows, int steps, double gflops,
                                    double gb_per_s);
std::string profile_text(const nlohmann::ordered_json& profile);

// Measured here and now on one device: matrix products per precision (GF/s) and an in-place stream (GB/s).
struct Ceiling {
    at::Device device = at::kCPU;
    double fp32_gflops = 0, bf16_gflops = 0, stream_gb_per_s = 0;
    double gflops(bool bf16) const { return bf16 ? bf16_gflops : fp32_gflops; }
};
Ceiling measure_ceiling(bool products, at::Device device = at::kCPU);
nlohmann::ordered_json machine_json(int64_t threads, const Ceiling& ceiling);

}  // namespace lithe

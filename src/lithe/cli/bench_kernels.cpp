#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/timer.h"
#include "lithe/cli/bench.h"
#include "lithe/kernels/catalog.h"
#include "lithe/train/machine.h"

namespace lithe {

using Json = nlohmann::ordered_json;

// A kernel whose parity test fails is not timed.
static void require_parity(const kernels::KernelRow& row) {
    for (int64_t size : kernels::awkward_sizes()) {
        kernels::ParityResult parity = row.parity(size);
        if (parity.worst > 1)
            fail({.what = std::string("kernel '") + row.name + "' differs from its reference by " +
                          std::to_string(parity.worst) + " times the tolerance",
                  .where = parity.where,
                  .hint = "a wrong kernel is not timed; run ./dev test"});
    }
}

// A share of what bounds the kernel: matrix products where it counts FLOPs, else memory.
static Json result_of(const kernels::BenchmarkCase& each, double seconds, const Ceiling& ceiling) {
    const double rate = each.bytes / seconds / 1e9, gflops = each.flops / seconds / 1e9;
    Json result = {{"name", each.name}, {"milliseconds", 1e3 * seconds}, {"gb_per_s", rate}};
    const bool bf16 = each.name.find("bf16") != std::string::npos && ceiling.bf16_gflops > 0;
    if (each.flops > 0) result["gflops"] = gflops;
    result["of_ceiling"] =
        each.flops > 0 ? gflops / (bf16 ? ceiling.bf16_gflops : ceiling.fp32_gflops) : rate / ceiling.stream_gb_per_s;
    result["parity"] = "ok";
    return result;
}

int bench_kernels(const BenchFlags& flags, const CommandContext& context) {
    TrainConfig train;
    train.threads = flags.threads;
    Machine machine = set_up_machine(train);
    Ceiling ceiling = measure_ceiling(true);
    Json results = Json::array();
    for (const auto& row : kernels::catalog()) {
        if (std::string(row.name).find(flags.only) == std::string::npos) continue;
        require_parity(row);
        for (const auto& each : row.benchmarks()) {
            std::vector<double> seconds;
            for (int i = 0; i < flags.repeats + 2; ++i) {
                Timer timer;
                each.run();
                if (i >= 2) seconds.push_back(timer.seconds());
            }
            results.push_back(result_of(each, median(seconds), ceiling));
        }
    }
    if (results.empty()) fail_usage("no kernel matches '" + flags.only + "'", "--only");
    return finish_bench(machine_json(machine.threads, ceiling), results, context);
}

}  // namespace lithe

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

int bench_kernels(const BenchFlags& flags, const CommandContext& context) {
    TrainConfig train;
    train.threads = flags.threads;
    Machine machine = set_up_machine(train);
    Ceiling ceiling = measure_ceiling(false);
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
            double rate = each.bytes / median(seconds) / 1e9;
            results.push_back({{"name", each.name},
                               {"milliseconds", 1e3 * median(seconds)},
                               {"gb_per_s", rate},
                               {"of_ceiling", rate / ceiling.stream_gb_per_s},
                               {"parity", "ok"}});
        }
    }
    if (results.empty()) fail_usage("no kernel matches '" + flags.only + "'", "--only");
    return finish_bench(machine_json(machine.threads, ceiling), results, context);
}

}  // namespace lithe

#include <ATen/Parallel.h>

#include "lithe/base/file.h"
#include "lithe/base/timer.h"
#include "lithe/cli/bench_rows.h"
#include "lithe/model/cost.h"
#include "lithe/ops/profile.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/train/step_runner.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

Json time_training(const BenchRow& row, const std::string& precision, const BenchFlags& flags, const Ceiling& ceiling) {
    Config config = config_of(row);
    const auto objective = objective_of(config);
    const Models models = training_models(*objective, config);
    LanguageModel& model = models.main();
    const bool bf16 = precision == "bf16";
    model.materialize(at::kFloat, bf16 ? at::kBFloat16 : at::kFloat, ceiling.device, 1);
    Optimizer optimizer(config.optimizer, model.parameters());
    const int64_t parts = batch_parts(config, at::get_num_threads(), ceiling.device);
    StepRunner step(*objective, models, optimizer, {.parts = parts, .graphs = config.train.graphs});
    ModelCost cost = count_cost(models, cost_shape(config));
    constexpr uint64_t kSegments = 64;  // of text, which is then read again
    const RandomText text(kSegments * uint64_t(config.train.batch * config.train.length), config, vocabulary_of(config),
                          objective->labels());
    const auto feeder = objective->feeder(config, tokenize::ByteTokenizer(), {{&text, 1, "random"}});
    uint64_t count = 0;
    int64_t tokens = 0;
    std::vector<Batch> batch(1);
    auto run = [&] {
        ops::ProfileScope whole("step");
        {
            ops::ProfileScope scope("lithe::data");
            feeder->next(batch[0]);
            objective->prepare(batch[0], count, 0);
        }
        Timer timer;
        step.run(batch, count++, 1e-3);
        ops::synchronize(ceiling.device);
        return timer.seconds();
    };
    std::vector<double> seconds;
    const int64_t warm_up = warm_up_steps(config);
    for (int64_t i = 0; i < flags.repeats + warm_up; ++i) {
        const double time = run();
        if (i < warm_up) continue;
        seconds.push_back(time);
        tokens += batch[0].tokens;
    }
    Json profile;
    if (flags.profile) {
        ops::Profiler profiler;
        for (int i = 0; i < flags.repeats; ++i) run();
        profile = profile_json(profiler.rows(), flags.repeats, ceiling.gflops(bf16), ceiling.stream_gb_per_s);
    }
    const double time = median(seconds), speed = double(tokens) / double(flags.repeats) / time;
    const double gflops = speed * cost.training_flops_per_token / 1e9;
    Json result = {{"name", row.name},
                   {"precision", precision},
                   {"parts", parts},
                   {"recorded", step.recorded()},
                   {"parameters", cost.parameters},
                   {"milliseconds", 1e3 * time},
                   {"min_milliseconds", 1e3 * *std::min_element(seconds.begin(), seconds.end())},
                   {"tokens_per_second", speed},
                   {"gflops", gflops},
                   {"of_ceiling", gflops / ceiling.gflops(bf16)},
                   {"peak_rss_bytes", peak_memory()}};
    if (flags.profile) result["profile"] = std::move(profile);
    return result;
}

}  // namespace

int bench_train(const BenchFlags& flags, const CommandContext& context) {
    return run_rows(flags, context, true, time_training);
}

}  // namespace lithe

// Evaluation of a long text beside the forward pass of training on it.
#include <ATen/Parallel.h>

#include <algorithm>

#include "lithe/base/timer.h"
#include "lithe/cli/bench_rows.h"
#include "lithe/model/cost.h"
#include "lithe/objectives/evaluate.h"
#include "lithe/objectives/parts.h"
#include "lithe/ops/side_by_side.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

// Seconds of the forward pass of one training step, the graph for its backward pass made.
double forward_seconds(const LanguageModel& model, const Config& config, int64_t parts, int repeats) {
    std::vector<State> states(static_cast<size_t>(parts));
    std::vector<double> seconds;
    const int64_t warm_up = warm_up_steps(config);
    for (int64_t i = 0; i < warm_up + repeats; ++i) {
        const auto key = uint64_t(i);
        const auto random = [&](uint64_t of) {
            return random_ids(config.train.length, config.train.batch, of, model.vocabulary_size()).to(model.device());
        };
        const Tensor ids = random(key), targets = random(key + 100);
        Timer timer;
        ops::side_by_side(parts, [&](int64_t part) {
            const RowRange range = range_of_part(part, parts, config.train.batch);
            const Pass pass = model.pass(true, {.update = key, .rows = key, .first_row = range.first});
            State& state = states[size_t(part)];
            auto out = model.loss(rows_of(ids, part, parts), rows_of(targets, part, parts), state, pass);
            out.sum.item<double>();
            state = out.state.detach();
        });
        if (i >= warm_up) seconds.push_back(timer.seconds());
    }
    return median(seconds);
}

Json time_evaluation(const BenchRow& row, const std::string& precision, const BenchFlags& flags,
                     const Ceiling& ceiling) {
    const Config config = config_of(row);
    const auto objective = objective_of(config);
    const Models models = objective->models(config, std::make_shared<ParameterStore>());
    LanguageModel& model = models.main();
    const bool bf16 = precision == "bf16";
    model.materialize(at::kFloat, bf16 ? at::kBFloat16 : at::kFloat, ceiling.device, 1);
    const int64_t segment = config.train.batch * config.train.length, segments = std::max(8, flags.repeats);
    EvaluationProtocol protocol;
    protocol.batch = config.train.batch;
    protocol.length = config.train.length;
    protocol.memory = config.model.memory;
    protocol.lead = 0;
    std::vector<double> seconds;
    for (int i = 0; i < 3; ++i)
        seconds.push_back(evaluate(*objective, models,
                                   RandomText(uint64_t(segment * segments) + 1, config, vocabulary_of(config)),
                                   protocol)
                              .value()
                              .seconds);
    const int64_t parts = natural_parts(config.train.batch, at::get_num_threads(), ceiling.device);
    const double speed = double(segment * segments) / median(seconds),
                 forward = double(segment) / forward_seconds(model, config, parts, flags.repeats);
    CostShape shape = cost_shape(config);
    shape.kept = true;  // evaluation keeps keys and values
    const double gflops = speed * count_cost(model, shape).flops_per_token / 1e9;
    return {{"name", row.name},
            {"precision", precision},
            {"tokens_per_second", speed},
            {"training_forward_tokens_per_second", forward},
            {"of_training_forward", speed / forward},
            {"gflops", gflops},
            {"of_ceiling", gflops / ceiling.gflops(bf16)}};
}

}  // namespace

int bench_evaluate(const BenchFlags& flags, const CommandContext& context) {
    return run_rows(flags, context, true, time_evaluation);
}

}  // namespace lithe

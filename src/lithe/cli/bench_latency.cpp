#include <cmath>

#include "lithe/base/log.h"
#include "lithe/base/timer.h"
#include "lithe/cli/bench_rows.h"
#include "lithe/model/cost.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

// Ids as words come: mostly the frequent ones, which stand first.
Tensor frequent_ids(int64_t length, uint64_t key, int64_t vocabulary) {
    Tensor ids = at::empty({length, 1}, at::kLong);
    for (int64_t i = 0; i < length; ++i)
        ids.data_ptr<int64_t>()[i] = int64_t(double(vocabulary) * std::pow(random_unit(key, uint64_t(i)), 6));
    return ids;
}

// Seconds per segment at batch 1 with a full memory, loss included.
double time_segments(const LanguageModel& model, const Config& config, const CostShape& shape, bool kept, int repeats) {
    at::NoGradGuard no_grad;
    const int64_t length = shape.length;
    Pass pass = model.pass(false);
    pass.memory = shape.memory;
    pass.keep_projections = kept;
    pass.clamp_length = config.evaluation.clamp_length;
    State state;
    std::vector<double> seconds;
    const int64_t warm_up = pass.memory / length + 2;
    for (int64_t i = 0; i < warm_up + repeats; ++i) {
        const Tensor ids = frequent_ids(length, uint64_t(i), model.vocabulary_size()).to(model.device()),
                     targets = frequent_ids(length, uint64_t(i) + 1000, model.vocabulary_size()).to(model.device());
        Timer timer;
        if (model.has_head()) {
            auto out = model.loss(ids, targets, state, pass);
            out.sum.item<double>();
            state = std::move(out.state);
        } else {
            model.encode(ids, pass);
            ops::synchronize(model.device());
        }
        if (i >= warm_up) seconds.push_back(timer.seconds());
    }
    return median(seconds);
}

Json row_of(const std::string& path, const BenchFlags& flags, const Machine& machine) {
    const Config config = load_config(path);
    LanguageModel model(config, vocabulary_of(config));
    model.materialize(at::kFloat, machine.working, machine.device, 1);
    const CostShape shape = evaluation_shape(config);
    const ModelCost cost = count_cost(model, shape);
    return {{"name", path},
            {"precision", name_of(machine.precision)},
            {"parameters", cost.parameters},
            {"length", shape.length},
            {"memory", shape.memory},
            {"gflop", cost.flops_per_token * double(shape.length) / 1e9},
            {"milliseconds", 1e3 * time_segments(model, config, shape, false, flags.repeats)},
            {"milliseconds_kept", 1e3 * time_segments(model, config, shape, true, flags.repeats)}};
}

}  // namespace

int bench_latency(const BenchFlags& flags, const CommandContext& context) {
    TrainConfig train;
    train.threads = flags.threads;
    train.device = flags.device;
    if (flags.precision != "both") train.precision = *value_of<Precision>(flags.precision);
    const Machine machine = set_up_machine(train);
    Json results = Json::array();
    for (const std::string& path : flags.configs) {
        Json row = row_of(path, flags, machine);
        for (const char* key : {"milliseconds", "milliseconds_kept"}) {
            const double first = results.empty() ? row[key].get<double>() : results[0][key].get<double>();
            row[std::string("ratio") + (key + std::string("milliseconds").size())] = row[key].get<double>() / first;
        }
        log_progress(path);
        results.push_back(std::move(row));
    }
    return finish_bench(machine_json(machine.threads, measure_ceiling(true, machine.device)), results, context);
}

}  // namespace lithe

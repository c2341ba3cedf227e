#include "lithe/plan/run_cost.h"

#include <algorithm>

#include "lithe/base/cgroup.h"
#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/random_text.h"
#include "lithe/model/stack.h"
#include "lithe/objectives/objective.h"
#include "lithe/plan/measure.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/train/budget.h"

namespace lithe {
namespace {

double memory_of(const LanguageModel& model, const Config& config, const Machine& machine) {
    return estimate_memory(model, config, machine.working == at::kBFloat16 ? 2 : 4).total();
}

// The configuration's own rows where they fit; else as many, by halves, as half of the memory holds, and no more than
// speed needs. 0: not even one row fits.
int64_t measured_rows(const LanguageModel& model, Config config, const Machine& machine, double available) {
    constexpr int64_t kTokens = 1 << 15;
    int64_t& rows = config.train.batch;
    if (memory_of(model, config, machine) <= available) return rows;
    while (rows > 1 && rows * config.train.length > kTokens) rows /= 2;
    while (rows > 0 && memory_of(model, config, machine) > available / 2) rows /= 2;
    return rows;
}

double speed_of(Config config, int64_t vocabulary, int64_t batch, const Machine& machine, const std::stop_token& stop) {
    constexpr double kSeconds = 5;
    constexpr uint64_t kSegments = 64;  // of text, which is then read again
    config.train.batch = batch;
    const tokenize::ByteTokenizer tokenizer;
    const RandomText text(kSegments * uint64_t(batch * config.train.length), config, vocabulary,
                          make_objective(config, tokenizer)->labels());
    return measure_training_speed(config, tokenizer, text, machine, kSeconds, stop);
}

}  // namespace

RunCost measure_run_cost(Config config, int64_t vocabulary, const std::stop_token& stop) {
    if (has_slots(decoder_layout(config)))
        fail_usage("a search trains many models: its time is not that of one", "model.layout",
                   "plan its result, or the layout with a candidate in each searched place");
    RunCost cost;
    cost.machine = set_up_machine(config.train);
    config.model.vocabulary_size = vocabulary;
    const Models models = models_to_count(config, vocabulary);
    const LanguageModel& model = models.main();
    cost.model = count_cost(models, cost_shape(config));
    cost.available = double(available_memory());
    cost.memory = memory_of(model, config, cost.machine);
    cost.tokens = tokens_of_budget(config.train);
    cost.measured_batch = measured_rows(model, config, cost.machine, cost.available);
    if (cost.measured_batch > 0)
        cost.tokens_per_second = speed_of(config, vocabulary, cost.measured_batch, cost.machine, stop);
    const double limit = config.train.max_seconds;
    if (cost.tokens_per_second > 0 && cost.tokens > 0) cost.seconds = cost.tokens / cost.tokens_per_second;
    if (limit > 0 && (cost.seconds == 0 || cost.seconds > limit)) {
        cost.seconds = limit;
        cost.tokens = limit * cost.tokens_per_second;
    }
    return cost;
}

std::string run_cost_text(const RunCost& cost, const Config& config) {
    const TrainConfig& train = config.train;
    std::string out =
        "model      " + parameters_text(double(cost.model.parameters), double(cost.model.parameters_in_tables));
    out += ", " + format_count(cost.model.training_flops_per_token) + " FLOPs per token of training\n";
    out += "budget     ";
    if (cost.tokens == 0) out += "none: the run has no end (train.max_steps, train.max_tokens or train.max_seconds)\n";
    else
        out += format_count(cost.tokens) + " tokens, " + format_count(cost.tokens / tokens_of_update(train)) +
               " updates of " + format_count(tokens_of_update(train)) + " tokens, " +
               format_count(cost.training_flops()) + " FLOPs\n";
    out +=
        "memory     about " + format_bytes(cost.memory) + "; this machine has " + format_bytes(cost.available) + "\n";
    if (!cost.fits()) out += "           fewer rows at once need less: train.batch, with more of train.accumulation\n";
    out += "machine    " + cost.machine.cpu + ", " + std::to_string(cost.machine.threads) + " threads, " +
           name_of(cost.machine.precision) + "\n";
    if (cost.measured_batch == 0) return out + "speed      not measured: not even a batch of one row fits\n";
    out += "speed      " + format_count(cost.tokens_per_second) + " tokens/s, measured on made-up tokens";
    if (cost.measured_batch < train.batch)
        out += " with the " + std::to_string(cost.measured_batch) + " rows that fit, of " + std::to_string(train.batch);
    out += "\n";
    if (cost.seconds > 0) out += "time       " + format_seconds(cost.seconds) + ", evaluations and saving aside\n";
    return out;
}

nlohmann::ordered_json run_cost_json(const RunCost& cost, const Config& config) {
    return {{"parameters", cost.model.parameters},
            {"parameters_in_tables", cost.model.parameters_in_tables},
            {"training_flops_per_token", cost.model.training_flops_per_token},
            {"tokens", cost.tokens},
            {"tokens_per_update", tokens_of_update(config.train)},
            {"training_flops", cost.training_flops()},
            {"memory_bytes", cost.memory},
            {"available_memory_bytes", cost.available},
            {"cpu", cost.machine.cpu},
            {"threads", cost.machine.threads},
            {"precision", name_of(cost.machine.precision)},
            {"measured_batch", cost.measured_batch},
            {"tokens_per_second", cost.tokens_per_second},
            {"seconds", cost.seconds}};
}

}  // namespace lithe

#include <ATen/Parallel.h>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/timer.h"
#include "lithe/cli/bench.h"
#include "lithe/kernels/isa.h"
#include "lithe/model/cost.h"
#include "lithe/model/generate.h"
#include "lithe/ops/profile.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
    std::string name;
    std::string config;  // text of a configuration; empty: that of row `like`, with `set`
    std::string like, set;
};

// Shapes that others measure too; bytes, no dropout, AdamW with clipping.
const Row kRows[] = {
    {"srupp-small", R"([model]
width = 512
layout = "ux6"
memory = 256
[train]
batch = 16
length = 256)"},
    {"srupp-small-kept", "", "srupp-small", "model.memory_form=projections"},
    {"srupp-42m", R"([model]
width = 1920
layout = "ux10"
memory = 256
[train]
batch = 4
length = 256)"},
    {"srupp-42m-kept", "", "srupp-42m", "model.memory_form=projections"},
    {"sru", R"([model]
width = 512
layout = "<sru>x6"
[blocks.sru]
layer_norm = "before"
highway_bias = -2.0
[train]
batch = 16
length = 256)"},
    {"gpt-small", R"([model]
width = 256
heads = 4
layout = "(sf)x4"
positions = "learned"
final_norm = true
tie_embeddings = true
embedding_init = "normal"
[blocks.f]
bias = false
[train]
batch = 16
length = 256)"},
    {"txl-base", R"([model]
width = 512
heads = 8
memory = 256
layout = "(sf)x12"
positions = "relative"
final_norm = true
tie_embeddings = true
embedding_init = "normal"
[blocks.f]
inner = 2048
activation = "relu"
[train]
batch = 8
length = 256)"},
    {"lstm", R"([model]
width = 512
layout = "llx1"
[train]
batch = 16
length = 256)"},
};

Config config_of(const Row& row) {
    if (!row.config.empty()) return parse_config(row.config, row.name);
    const Row* twin =
        std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& each) { return each.name == row.like; });
    return parse_config(twin->config, row.name, {row.set});
}

int64_t vocabulary_of(const Config& config) {
    return config.model.vocabulary_size > 0 ? config.model.vocabulary_size : 256;
}

// Text-like ids: skewed, so that caches behave as in training.
Tensor random_ids(int64_t length, int64_t batch, uint64_t key, int64_t vocabulary) {
    Tensor ids = at::empty({length, batch}, at::kLong);
    for (int64_t i = 0; i < ids.numel(); ++i)
        ids.data_ptr<int64_t>()[i] =
            int64_t(double(vocabulary) * random_unit(key, uint64_t(i)) * random_unit(key + 1, uint64_t(i)));
    return ids;
}

Json time_training(const Row& row, const std::string& precision, const BenchFlags& flags, const Ceiling& ceiling) {
    Config config = config_of(row);
    LanguageModel model(config, vocabulary_of(config));
    const bool bf16 = precision == "bf16";
    model.materialize(at::kFloat, bf16 ? at::kBFloat16 : at::kFloat, at::kCPU, 1);
    Optimizer optimizer(config.optimizer, model.parameters());
    const int64_t parts = batch_parts(config, model, at::get_num_threads(), at::kCPU);
    TrainStep step(model, optimizer, 1, parts);
    ModelCost cost = count_cost(model, cost_shape(config));
    uint64_t count = 0;
    auto run = [&] {
        ops::ProfileScope whole("step");
        Tensor ids, targets;
        {
            ops::ProfileScope scope("lithe::data");
            ids = random_ids(config.train.length, config.train.batch, count, model.vocabulary_size());
            targets = random_ids(config.train.length, config.train.batch, count + 100, model.vocabulary_size());
        }
        Timer timer;
        step.micro_batch(ids, targets, 0, count++);
        optimizer.step(1e-3, optimizer.gradient_norm());
        return timer.seconds();
    };
    std::vector<double> seconds;
    const int64_t warm_up = std::max<int64_t>(3, config.model.memory / config.train.length + 1);  // the memory is full
    for (int64_t i = 0; i < flags.repeats + warm_up; ++i) {
        const double time = run();
        if (i >= warm_up) seconds.push_back(time);
    }
    Json profile;
    if (flags.profile) {
        ops::Profiler profiler;
        for (int i = 0; i < flags.repeats; ++i) run();
        profile = profile_json(profiler.rows(), flags.repeats, bf16 ? ceiling.bf16_gflops : ceiling.fp32_gflops,
                               ceiling.stream_gb_per_s);
    }
    const double tokens = double(config.train.batch * config.train.length), time = median(seconds);
    const double gflops = tokens * cost.training_flops_per_token / time / 1e9;
    Json result = {{"name", row.name},
                   {"precision", precision},
                   {"parts", parts},
                   {"parameters", cost.parameters},
                   {"milliseconds", 1e3 * time},
                   {"min_milliseconds", 1e3 * *std::min_element(seconds.begin(), seconds.end())},
                   {"tokens_per_second", tokens / time},
                   {"gflops", gflops},
                   {"of_ceiling", gflops / (bf16 ? ceiling.bf16_gflops : ceiling.fp32_gflops)},
                   {"peak_rss_bytes", peak_memory()}};
    if (flags.profile) result["profile"] = std::move(profile);
    return result;
}

Json time_generation(const Row& row, const std::string& precision, const BenchFlags& flags, const Ceiling& ceiling) {
    constexpr int64_t kTokens = 200;
    Config config = config_of(row);
    LanguageModel model(config, vocabulary_of(config));
    model.materialize(at::kFloat, precision == "bf16" ? at::kBFloat16 : at::kFloat, at::kCPU, 1);
    std::vector<int64_t> prompt(size_t(config.train.length), 32);
    if (model.max_positions() > 0) prompt.resize(32);
    std::vector<double> seconds;
    SamplingOptions options{.tokens = kTokens, .segment = config.train.length, .int8 = precision == "int8"};
    for (int i = 0; i < std::min(flags.repeats, 3) + 1; ++i) {
        Timer timer;
        double first = 0;
        generate(model, prompt, options, [&](int64_t) {
            if (first == 0) first = timer.seconds();
            return true;
        });
        if (i > 0) seconds.push_back((timer.seconds() - first) / double(kTokens - 1));
    }
    const double width = precision == "int8" ? 1 : precision == "bf16" ? 2 : 4;
    const double bytes = double(model.parameters().count_without_embeddings()) * width, time = median(seconds);
    return {{"name", row.name},
            {"precision", precision},
            {"tokens_per_second", 1 / time},
            {"gb_per_s", bytes / time / 1e9},
            {"of_ceiling", bytes / time / 1e9 / ceiling.stream_gb_per_s}};
}

template <class F> int run_rows(const BenchFlags& flags, const CommandContext& context, bool products, const F& time) {
    TrainConfig train;
    train.threads = flags.threads;
    Machine machine = set_up_machine(train);
    Ceiling ceiling = measure_ceiling(products);
    Json results = Json::array();
    std::vector<Row> rows(std::begin(kRows), std::end(kRows));
    if (!flags.config.empty()) rows = {{flags.config, read_file(flags.config, 1 << 20), "", ""}};
    const bool exact = std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.name == flags.only; });
    for (const Row& row : rows) {
        if (exact ? row.name != flags.only : row.name.find(flags.only) == std::string::npos) continue;
        for (const char* precision : {"bf16", "int8", "fp32"}) {
            const bool int8 = precision == std::string("int8");
            if ((int8 && products) || (flags.precision != "both" && flags.precision != precision)) continue;
            if (precision == std::string("bf16") && !kernels::has_bf16_products()) {
                log_info(std::string(row.name) + ": no bf16 products on this machine, row left out");
                continue;
            }
            results.push_back(time(row, precision, flags, ceiling));
            log_info(results.back().dump());
        }
    }
    if (results.empty()) fail_usage("no benchmark row matches '" + flags.only + "'", "--only");
    return finish_bench(machine_json(machine.threads, ceiling), results, context);
}

}  // namespace

int bench_train(const BenchFlags& flags, const CommandContext& context) {
    return run_rows(flags, context, true, time_training);
}

int bench_generate(const BenchFlags& flags, const CommandContext& context) {
    return run_rows(flags, context, false, time_generation);
}

}  // namespace lithe

#include "lithe/cli/bench_rows.h"

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/rng.h"
#include "lithe/kernels/isa.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/train/machine.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

// Shapes that others measure too; bytes, no dropout, AdamW with clipping.
const BenchRow kRows[] = {
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
    {"gru", R"([model]
width = 512
layout = "<gru>x2"
[train]
batch = 16
length = 256)"},
    {"slstm", R"([model]
width = 512
layout = "<slstm>x6"
[train]
batch = 16
length = 256)"},
    {"mlstm", R"([model]
width = 512
layout = "<mlstm>x6"
[blocks.mlstm]
heads = 8
[train]
batch = 16
length = 256)"},
    {"lru", R"([model]
width = 512
layout = "<lru>x6"
[train]
batch = 16
length = 256)"},
    {"s4d", R"([model]
width = 512
layout = "<s4d>x6"
[train]
batch = 16
length = 256)"},
    {"qrnn", R"([model]
width = 512
layout = "<qrnn>x6"
[train]
batch = 16
length = 256)"},
    {"lrn", R"([model]
width = 512
layout = "<lrn>x6"
[train]
batch = 16
length = 256)"},
    {"ssru", R"([model]
width = 512
layout = "<ssru>x6"
[train]
batch = 16
length = 256)"},
    {"min-gru", R"([model]
width = 512
layout = "<min_gru>x6"
[train]
batch = 16
length = 256)"},
    {"min-lstm", R"([model]
width = 512
layout = "<min_lstm>x6"
[train]
batch = 16
length = 256)"},
    {"rg-lru", R"([model]
width = 512
layout = "<rg_lru>x6"
[train]
batch = 16
length = 256)"},
};

}  // namespace

Config config_of(const BenchRow& row) {
    if (!row.config.empty()) return parse_config(row.config, row.name);
    const BenchRow* twin =
        std::find_if(std::begin(kRows), std::end(kRows), [&](const BenchRow& each) { return each.name == row.like; });
    return parse_config(twin->config, row.name, {row.set});
}

int64_t vocabulary_of(const Config& config) {
    return config.model.vocabulary_size > 0 ? config.model.vocabulary_size : 256;
}

int64_t warm_up_steps(const Config& config) {
    constexpr int64_t kUntilRecorded = 4;  // on a GPU, after the memory is full
    return config.model.memory / config.train.length + kUntilRecorded;
}

Tensor random_ids(int64_t length, int64_t batch, uint64_t key, int64_t vocabulary) {
    Tensor ids = at::empty({length, batch}, at::kLong);
    for (int64_t i = 0; i < ids.numel(); ++i) ids.data_ptr<int64_t>()[i] = random_id(key, uint64_t(i), vocabulary);
    return ids;
}

std::unique_ptr<Objective> objective_of(const Config& config) {
    return make_objective(config, tokenize::ByteTokenizer());
}

int run_rows(const BenchFlags& flags, const CommandContext& context, bool products, const BenchTimer& time) {
    TrainConfig train;
    train.threads = flags.threads;
    train.device = flags.device;
    Machine machine = set_up_machine(train);
    if (flags.profile && machine.device.is_cuda())
        fail_usage("a GPU works on while the program goes on: its step has no profile here", "--profile",
                   "use NVIDIA's nsys or ncu, or --device cpu");
    Ceiling ceiling = measure_ceiling(products, machine.device);
    Json results = Json::array();
    std::vector<BenchRow> rows(std::begin(kRows), std::end(kRows));
    if (!flags.config.empty()) rows = {{flags.config, read_file(flags.config, 1 << 20), "", ""}};
    const bool exact =
        std::any_of(rows.begin(), rows.end(), [&](const BenchRow& row) { return row.name == flags.only; });
    for (const BenchRow& row : rows) {
        if (exact ? row.name != flags.only : row.name.find(flags.only) == std::string::npos) continue;
        for (const char* precision : {"bf16", "int8", "fp32"}) {
            const bool int8 = precision == std::string("int8");
            if (int8 && (products || machine.device.is_cuda())) continue;
            if (flags.precision != "both" && flags.precision != precision) continue;
            if (precision == std::string("bf16") && machine.device.is_cpu() && !kernels::has_bf16_products()) {
                log_info(std::string(row.name) + ": no bf16 products on this machine, row left out");
                continue;
            }
            results.push_back(time(row, precision, flags, ceiling));
            log_progress(row.name + " " + precision);
        }
    }
    if (results.empty()) fail_usage("no benchmark row matches '" + flags.only + "'", "--only");
    return finish_bench(machine_json(machine.threads, ceiling), results, context);
}

}  // namespace lithe

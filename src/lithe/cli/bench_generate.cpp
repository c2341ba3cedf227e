#include "lithe/base/timer.h"
#include "lithe/cli/bench_rows.h"
#include "lithe/model/generate.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

Json time_generation(const BenchRow& row, const std::string& precision, const BenchFlags& flags,
                     const Ceiling& ceiling) {
    constexpr int64_t kTokens = 200;
    Config config = config_of(row);
    LanguageModel model(config, vocabulary_of(config));
    model.materialize(at::kFloat, precision == "bf16" ? at::kBFloat16 : at::kFloat, ceiling.device, 1);
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

}  // namespace

int bench_generate(const BenchFlags& flags, const CommandContext& context) {
    return run_rows(flags, context, false, time_generation);
}

}  // namespace lithe

#include "lithe/base/timer.h"
#include "lithe/cli/bench_rows.h"
#include "lithe/infer/session.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

// Median seconds of a step of so many rows, behind prompts as long as a segment, or short ones.
double step_seconds(const LanguageModel& model, const Config& config, int64_t rows, bool int8, int repeats) {
    constexpr int64_t kShortPrompt = 32;  // of models whose positions end
    const int64_t steps = rows == 1 ? 200 : 50;
    const int64_t length = model.max_positions() > 0 ? kShortPrompt : config.train.length;
    const std::vector<std::vector<int64_t>> prompts(size_t(rows), std::vector<int64_t>(size_t(length), 32));
    std::vector<double> seconds;
    for (int i = 0; i < repeats + 1; ++i) {
        Session session(model, {.most_rows = rows, .segment = config.train.length, .int8 = int8});
        session.admit(prompts);
        std::vector<int64_t> tokens(size_t(rows), 32);
        Timer timer;
        for (int64_t step = 0; step < steps && !session.full(0); ++step) session.step(tokens);
        if (i > 0) seconds.push_back(timer.seconds() / double(session.position(0) - length));
    }
    return median(seconds);
}

Json time_generation(const BenchRow& row, const std::string& precision, const BenchFlags& flags,
                     const Ceiling& ceiling) {
    Config config = config_of(row);
    LanguageModel model(config, vocabulary_of(config));
    model.materialize(at::kFloat, precision == "bf16" ? at::kBFloat16 : at::kFloat, ceiling.device, 1);
    const double width = precision == "int8" ? 1 : precision == "bf16" ? 2 : 4;
    const double bytes = double(model.parameters().count_without_embeddings()) * width;
    Json json = {{"name", row.name}, {"precision", precision}};
    for (const int64_t rows : flags.rows) {
        const double time = step_seconds(model, config, rows, precision == "int8", flags.repeats);
        json["by_rows"].push_back({{"rows", rows},
                                   {"tokens_per_second", double(rows) / time},
                                   {"gb_per_s", bytes / time / 1e9},
                                   {"of_ceiling", bytes / time / 1e9 / ceiling.stream_gb_per_s}});
    }
    return json;
}

}  // namespace

int bench_generate(const BenchFlags& flags, const CommandContext& context) {
    return run_rows(flags, context, false, time_generation);
}

}  // namespace lithe

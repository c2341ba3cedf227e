#include "lithe/plan/measure.h"

#include "lithe/base/median.h"
#include "lithe/base/timer.h"
#include "lithe/infer/decode.h"
#include "lithe/train/trainer.h"

namespace lithe {
namespace {

constexpr int kWarmUp = 2, kFewest = 3, kMost = 200;
constexpr double kPatience = 15;  // seconds

void check_stop(const std::stop_token& stop) {
    if (stop.stop_requested()) fail({.kind = ErrorKind::stopped, .what = "stopped while measuring this machine"});
}

}  // namespace

double measure_training_speed(const Config& config, const Tokenizer& tokenizer, const TokenView& text,
                              const Machine& machine, double seconds, const std::stop_token& stop) {
    const auto objective = make_objective(config, tokenizer);
    const Models models = training_models(*objective, config);
    // tables take seconds to draw
    models.main().materialize(at::kFloat, machine.working, machine.device, std::nullopt);
    Optimizer optimizer(config.optimizer, models.main().parameters());
    StepRunner step(*objective, models, optimizer,
                    {.parts = batch_parts(config, machine.threads, machine.device), .graphs = config.train.graphs});
    const auto feeder = objective->feeder(config, tokenizer, {{&text, 1, "train"}});
    std::vector<Batch> batch(1);
    std::vector<double> times;
    int64_t tokens = 0;
    Timer whole, all;
    for (int i = 0; i < kMost && (i < kWarmUp + kFewest || whole.seconds() < seconds); ++i) {
        if (all.seconds() > kPatience && !times.empty()) break;
        check_stop(stop);
        Timer timer;
        feeder->next(batch[0]);
        objective->prepare(batch[0], uint64_t(i), 0);
        step.run(batch, uint64_t(i), config.optimizer.learning_rate * 1e-3);
        if (i < kWarmUp && all.seconds() < kPatience) {
            whole.restart();
            continue;
        }
        times.push_back(timer.seconds());
        tokens += batch[0].tokens;
    }
    return double(tokens) / double(times.size()) / median(times);
}

double measure_latency(const Config& config, int64_t vocabulary, const Machine& machine, const std::stop_token& stop) {
    constexpr int64_t kTokens = 64;
    LanguageModel model(config, vocabulary);
    model.materialize(at::kFloat, machine.working, machine.device, std::nullopt);
    const std::vector<int64_t> prompt(size_t(config.train.length), 1);
    Timer timer;
    std::vector<double> gaps;
    double last = -1;
    const DecodeOptions options{.until = {.tokens = kTokens}, .stop = stop};
    generate(model, prompt, options, {.segment = config.train.length}, [&](int64_t) {
        const double now = timer.seconds();
        if (last >= 0) gaps.push_back(now - last);
        last = now;
        return true;
    });
    check_stop(stop);
    return median(gaps);
}

}  // namespace lithe

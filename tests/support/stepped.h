// A model with its objective, optimizer and runner, and batches of given numbers.
#pragma once

#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/train/step_runner.h"

namespace lithe::testing {

inline Batch batch_of(const Tensor& ids_TB, const Tensor& targets_TB, const Tensor& flags_TB = {}) {
    Batch batch{.length = ids_TB.size(0), .rows = ids_TB.size(1)};
    const auto copy = [](const Tensor& from, auto& to) {
        const Tensor numbers = from.cpu().contiguous();
        using T = typename std::remove_reference_t<decltype(to)>::value_type;
        to.assign(numbers.data_ptr<T>(), numbers.data_ptr<T>() + numbers.numel());
    };
    copy(ids_TB, batch.inputs);
    copy(targets_TB, batch.targets);
    if (flags_TB.defined()) copy(flags_TB, batch.flags);
    batch.tokens = ids_TB.numel();
    return batch;
}

struct Stepped {
    Config config;
    std::unique_ptr<Objective> objective;
    Models models;
    LanguageModel& model;
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<StepRunner> step;

    struct Options {
        int64_t vocabulary = 50;
        StepRunner::Options step;
        at::ScalarType master = at::kDouble, working = at::kDouble;
        at::Device device = at::kCPU;
    };
    Stepped(const std::string& text, const Options& options)
        : config(parse_config(text, "test", {"model.vocabulary_size=" + std::to_string(options.vocabulary)})),
          objective(make_objective(config, tokenize::ByteTokenizer())),
          models(training_models(*objective, config)),
          model(models.main()) {
        model.materialize(options.master, options.working, options.device, 7);
        optimizer = std::make_unique<Optimizer>(config.optimizer, model.parameters(),
                                                config.layer_drop.moments == DroppedMoments::hold);
        step = std::make_unique<StepRunner>(*objective, models, *optimizer, options.step);
    }
    // The gradient of one micro-batch; returns the loss.
    double accumulate(const Tensor& ids_TB, const Tensor& targets_TB, uint64_t key, const Tensor& flags_TB = {}) {
        return step->accumulate({batch_of(ids_TB, targets_TB, flags_TB)}, key).loss;
    }
    Update run(const Tensor& ids_TB, const Tensor& targets_TB, uint64_t key) {
        return step->run({batch_of(ids_TB, targets_TB)}, key, config.optimizer.learning_rate);
    }
};

}  // namespace lithe::testing

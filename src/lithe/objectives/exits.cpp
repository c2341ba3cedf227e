#include "lithe/objectives/exits.h"

#include <algorithm>
#include <numeric>

#include "lithe/base/rng.h"

namespace lithe {

void ExitsValues::visit(FieldVisitor& v) {
    v.field({.name = "exits",
             .help = "exits: behind which layers the head reads, beside the last: all, as 2,4,6, or every:2"},
            exits);
    v.field({.name = "exit_training",
             .help = "exits: aligned: the losses of all exits; mixed: each position leaves at an exit drawn for it"},
            exit_training);
    v.field({.name = "exit_weights",
             .help = "exits, aligned: of the losses: uniform, or linear, each by the number of layers below it"},
            exit_weights);
}

void ExitsValues::check(const Config& config, Problems& problems) const {
    refuse_encoder(config, problems);
    check_exits(config, problems);
    if (exit_training == ExitTraining::mixed && exit_weights == ExitWeights::linear)
        problems.add("mixed training draws exits uniformly and weighs none", "objective.exit_weights",
                     "objective.exit_weights = \"uniform\"");
    try {
        exit_layers(exits, config);
    } catch (const Error& error) { problems.add(error.what(), "objective.exits"); }
}

// What aligned training has beside its model: the head once more for each exit.
class ExitHeads : public Companion {
 public:
    explicit ExitHeads(double flops) : flops_(flops) {}
    double flops_per_token(const CostShape&) const override { return flops_; }

 private:
    double flops_;
};

Models ExitsObjective::models(const Config& config, std::shared_ptr<ParameterStore> store) const {
    Models models;
    const int64_t stated = config.model.vocabulary_size;
    const auto main =
        std::make_shared<LanguageModel>(config, stated > 0 ? stated : vocabulary(), std::move(store), "", layers_);
    models.by_role["main"] = main;
    if (values_.exit_training == ExitTraining::aligned)
        models.companion = std::make_shared<const ExitHeads>(double(layers_.size()) * main->head()->flops_per_token());
    return models;
}

std::string ExitsObjective::term(size_t exit) const {
    return exit < layers_.size() ? "exit_" + std::to_string(layers_[exit] + 1) : kCrossEntropy;
}

std::map<std::string, double> ExitsObjective::weights(const Batch& batch) const {
    std::map<std::string, double> weights = TokenObjective::weights(batch);
    if (values_.exit_training == ExitTraining::mixed) return weights;
    for (size_t exit = 0; exit < layers_.size(); ++exit) weights[term(exit)] = weights.at(kCrossEntropy);
    return weights;
}

LossOutput ExitsObjective::loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                                const DrawKeys& keys) const {
    const LanguageModel& model = models.main();
    Pass pass = model.pass(training, keys);
    pass.set_flags(batch.flags_TB);
    return values_.exit_training == ExitTraining::mixed ? mixed(model, batch, state, pass)
                                                        : aligned(model, batch, state, pass);
}

LossOutput ExitsObjective::aligned(const LanguageModel& model, const DeviceBatch& batch, const State& state,
                                   const Pass& pass) const {
    auto out = model.exit_losses(batch.ids_TB, batch.targets_TB, state, pass);
    std::vector<double> weights;
    for (size_t exit = 0; exit < out.sums.size(); ++exit)
        weights.push_back(values_.exit_weights == ExitWeights::linear ? double(model.exits()->depth(exit)) : 1);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    LossOutput result;
    for (size_t exit = 0; exit < out.sums.size(); ++exit)
        result.terms.push_back(
            {.name = term(exit), .coefficient = weights[exit] / sum, .sum = std::move(out.sums[exit])});
    add_aux(std::move(out.aux), batch, result);
    result.state = std::move(out.state);
    return result;
}

LossOutput ExitsObjective::mixed(const LanguageModel& model, const DeviceBatch& batch, const State& state,
                                 const Pass& pass) const {
    const Tensor exit_TB = draw_exits(layers_.size() + 1, batch.ids_TB.size(0), batch.ids_TB.size(1), pass.keys);
    auto out =
        model.loss(batch.ids_TB, batch.targets_TB, state, pass.with(ExitChoices{exit_TB.to(batch.ids_TB.device())}));
    LossOutput result;
    result.terms.push_back({.name = kCrossEntropy, .sum = std::move(out.sum)});
    add_aux(std::move(out.aux), batch, result);
    result.state = std::move(out.state);
    return result;
}

Tensor draw_exits(size_t count, int64_t steps, int64_t rows, const DrawKeys& keys) {
    const uint64_t key = combine_key(combine_key(keys.rows, "exits"), keys.update);
    Tensor exit_TB = at::empty({steps, rows}, at::kLong);
    auto* exits = exit_TB.data_ptr<int64_t>();
    for (int64_t row = 0; row < rows; ++row) {
        const uint64_t of_row = combine_key(key, uint64_t(keys.first_row + row));
        for (int64_t t = 0; t < steps; ++t)
            exits[t * rows + row] =
                std::min(int64_t(random_unit(of_row, uint64_t(t)) * double(count)), int64_t(count) - 1);
    }
    return exit_TB;
}

std::unique_ptr<Objective> make_exits(const ObjectiveOptions& options, const Config& config,
                                      const Tokenizer& tokenizer) {
    const auto& values = values_of<ExitsValues>(options);
    return std::make_unique<ExitsObjective>(values, exit_layers(values.exits, config), tokenizer.vocabulary_size());
}

}  // namespace lithe

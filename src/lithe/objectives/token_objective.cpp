#include "lithe/objectives/token_objective.h"

#include <algorithm>

namespace lithe {

void refuse_encoder(const Config& config, Problems& problems) {
    if (config.encoder)
        problems.add("objective \"" + config.objective.name + "\" has no source for [model.encoder]", "objective.name",
                     "objective.name = \"translate\" reads pairs; without [model.encoder] there is one stack");
}

void add_aux(Aux aux, const DeviceBatch& batch, LossOutput& result) {
    const auto positions = double(batch.positions());
    for (auto& [name, loss] : aux.losses) result.terms.push_back({.name = name, .sum = loss * positions});
    result.metrics.insert(result.metrics.end(), aux.metrics.begin(), aux.metrics.end());
}

Models TokenObjective::models(const Config& config, std::shared_ptr<ParameterStore> store) const {
    Models models;
    const int64_t stated = config.model.vocabulary_size;
    models.by_role["main"] =
        std::make_shared<LanguageModel>(config, stated > 0 ? stated : vocabulary_, std::move(store));
    return models;
}

std::map<std::string, double> TokenObjective::weights(const Batch& batch) const {
    const auto scored = std::count_if(batch.targets.begin(), batch.targets.end(), [](int64_t id) { return id >= 0; });
    return {{kCrossEntropy, double(scored)}};
}

std::unique_ptr<Feeder> TokenObjective::feeder(const Config& config, const Tokenizer& tokenizer,
                                               std::vector<FeedSource> sources) const {
    FeedOptions options{.batch = config.train.batch,
                        .length = config.train.length,
                        .seed = combine_key(uint64_t(config.train.seed), "documents"),
                        .chunk = config.data.order == TextOrder::chunks ? kChunk : 0,
                        .one_per_row = config.data.rows == DocumentRows::single};
    if (config.data.document_end == DocumentEnd::automatic) options.document_end = tokenizer.document_end();
    return config.data.order == TextOrder::documents ? make_document_feeder(std::move(sources), options)
                                                     : make_stream_feeder(std::move(sources), options);
}

LossOutput TokenObjective::loss(const Models& models, const DeviceBatch& batch, const State& state, bool training,
                                const DrawKeys& keys) const {
    Pass pass = models.main().pass(training, keys);
    pass.set_flags(batch.flags_TB);
    auto out = models.main().loss(batch.ids_TB, batch.targets_TB, state, pass, {.density = density_});
    LossOutput result;
    result.terms.push_back({.name = kCrossEntropy, .sum = std::move(out.sum)});
    add_aux(std::move(out.aux), batch, result);
    result.state = std::move(out.state);
    return result;
}

ScoredRows TokenObjective::score(const Models& models, const DeviceBatch& batch, const State& state, Pass pass) const {
    pass.set_flags(batch.flags_TB);
    auto out = models.main().loss(batch.ids_TB, batch.targets_TB, state, pass, {.density = density_});
    return {.sum = std::move(out.sum), .state = std::move(out.state)};
}

}  // namespace lithe

#include "lithe/objectives/source_objective.h"

namespace lithe {

LossOutput SourceObjective::loss(const Models& models, const DeviceBatch& batch, const State&, bool training,
                                 const DrawKeys& keys) const {
    const LanguageModel& model = models.main();
    LossOutput result;
    Aux aux;
    const Bag source = model.encode_source(batch.source_SB, batch.source_flags_SB, training, keys, aux);
    Pass pass = model.pass(training, keys);
    pass.set_flags(batch.flags_TB);
    const LossOptions options{.density = TargetDensity::few, .smoothing = smoothing_};
    auto out = model.loss(batch.ids_TB, batch.targets_TB, {}, pass, options, source);
    aux.append(std::move(out.aux));
    result.terms.push_back({.name = kCrossEntropy, .sum = out.sum});
    add_aux(std::move(aux), batch, result);
    return result;  // rows stand alone: no state
}

ScoredRows SourceObjective::score(const Models& models, const DeviceBatch& batch, const State&, Pass pass) const {
    Aux aux;
    const Bag source = models.main().encode_source(batch.source_SB, batch.source_flags_SB, false, {}, aux);
    pass.set_flags(batch.flags_TB);
    auto out = models.main().loss(batch.ids_TB, batch.targets_TB, {}, pass, {.density = TargetDensity::few}, source);
    return {.sum = std::move(out.sum)};
}

}  // namespace lithe

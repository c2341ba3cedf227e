// Updates: [optimizer], [schedule] and [layer_drop].
#pragma once

#include <cstdint>

#include "lithe/base/fields.h"

namespace lithe {

enum class OptimizerKind { adamw, radam, adam, sgd, muon, lamb };
constexpr auto names_of(OptimizerKind) {
    using enum OptimizerKind;
    return std::to_array<Named<OptimizerKind>>(
        {{adamw, "adamw"}, {radam, "radam"}, {adam, "adam"}, {sgd, "sgd"}, {muon, "muon"}, {lamb, "lamb"}});
}

enum class DecayedParameters { matrices, all };
constexpr auto names_of(DecayedParameters) {
    using enum DecayedParameters;
    return std::to_array<Named<DecayedParameters>>({{matrices, "matrices"}, {all, "all"}});
}

// RAdam's first steps, while the variance is intractable.
enum class RadamFallback { sgd, none };
constexpr auto names_of(RadamFallback) {
    using enum RadamFallback;
    return std::to_array<Named<RadamFallback>>({{sgd, "sgd"}, {none, "none"}});
}

enum class MuonScale { shape, rms };
constexpr auto names_of(MuonScale) {
    using enum MuonScale;
    return std::to_array<Named<MuonScale>>({{shape, "shape"}, {rms, "rms"}});
}

struct OptimizerConfig {
    OptimizerKind name = OptimizerKind::adamw;
    double learning_rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8;
    double momentum = 0.9;
    double weight_decay = 0.1;
    DecayedParameters decay = DecayedParameters::matrices;
    RadamFallback radam_fallback = RadamFallback::sgd;
    double clip_norm = 1.0;
    double table_learning_rate = 0.05;
    double muon_learning_rate = 0.01;
    double muon_momentum = 0.95;
    MuonScale muon_scale = MuonScale::shape;
    int64_t lookahead_steps = 0;
    double lookahead_rate = 0.5;
    double average = 0;
    void visit(FieldVisitor& v);
};

enum class ScheduleKind { constant, linear, cosine, wsd, inverse_sqrt, recipe };
constexpr auto names_of(ScheduleKind) {
    using enum ScheduleKind;
    return std::to_array<Named<ScheduleKind>>({{constant, "constant"},
                                               {linear, "linear"},
                                               {cosine, "cosine"},
                                               {wsd, "wsd"},
                                               {inverse_sqrt, "inverse_sqrt"},
                                               {recipe, "recipe"}});
}

enum class ScheduleAxis { automatic, steps, tokens, time, budget };
constexpr auto names_of(ScheduleAxis) {
    using enum ScheduleAxis;
    return std::to_array<Named<ScheduleAxis>>(
        {{automatic, "auto"}, {steps, "steps"}, {tokens, "tokens"}, {time, "time"}, {budget, "budget"}});
}

struct ScheduleConfig {
    ScheduleKind name = ScheduleKind::cosine;
    ScheduleAxis axis = ScheduleAxis::automatic;
    double warmup = 0.02;
    double decay = 0.2;
    double final_ratio = 0.0;
    void visit(FieldVisitor& v);
};

enum class LayerDropMethod { none, progressive, stochastic_depth, layerdrop };
constexpr auto names_of(LayerDropMethod) {
    using enum LayerDropMethod;
    return std::to_array<Named<LayerDropMethod>>({{none, "none"},
                                                  {progressive, "progressive"},
                                                  {stochastic_depth, "stochastic_depth"},
                                                  {layerdrop, "layerdrop"}});
}

// Of progressive layer dropping: as in its paper, or as in its reference code.
enum class ProgressiveForm { paper, code };
constexpr auto names_of(ProgressiveForm) {
    using enum ProgressiveForm;
    return std::to_array<Named<ProgressiveForm>>({{paper, "paper"}, {code, "code"}});
}

// For what layers are drawn anew.
enum class LayerDrawUnit { micro_batch, update };
constexpr auto names_of(LayerDrawUnit) {
    using enum LayerDrawUnit;
    return std::to_array<Named<LayerDrawUnit>>({{micro_batch, "micro_batch"}, {update, "update"}});
}

// Of parameters that an update left out.
enum class DroppedMoments { advance, hold };
constexpr auto names_of(DroppedMoments) {
    using enum DroppedMoments;
    return std::to_array<Named<DroppedMoments>>({{advance, "advance"}, {hold, "hold"}});
}

struct LayerDropConfig {
    LayerDropMethod method = LayerDropMethod::none;
    double keep = 0.5;
    double gamma = 0.001;
    ProgressiveForm form = ProgressiveForm::paper;
    LayerDrawUnit draw = LayerDrawUnit::micro_batch;
    DroppedMoments moments = DroppedMoments::advance;
    void visit(FieldVisitor& v);
};

}  // namespace lithe

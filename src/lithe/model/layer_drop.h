// Layer dropping: which layers of a stack a training step runs, and by what their branches are scaled. A layer is what
// stands at the top of the layout: a group's repetition, or a single block.
//
//   progressive       theta(t) = (1 - keep) exp(-gamma t) + keep                    (Zhang, He 2020; t: updates done)
//     paper           layer i of L is kept with p_i = 1 - (i / L)(1 - theta), its branches are divided by p_i
//     code            kept with 1 - ((i - 1) / L)(1 - theta), divided by 1 - (i / L)(1 - theta), t one update late
//                     (DeepSpeedExamples' BERT)
//   stochastic_depth  kept with p_i = 1 - (i / L)(1 - keep); outside training branches are multiplied by p_i (Huang
//   2016) layerdrop         every layer is kept with the same probability (Fan et al. 2020)
#pragma once

#include <memory>
#include <optional>

#include "lithe/model/unit.h"

namespace lithe {

// What a draw says of a layer.
struct LayerDraw {
    bool kept = true;
    double scale = 1;  // of its blocks' branches
};
// One for each layer: an entry of a pass. Without one, every layer runs as it is.
struct LayerDraws {
    std::vector<LayerDraw> layers;
};

struct LayerChance {
    double keep = 1, divisor = 1;
};
// One per layer, from the bottom. `updates`: done so far.
std::vector<LayerChance> layer_chances(const LayerDropConfig& config, int64_t layers, int64_t updates);

// Layer i is kept when uniforms[i] < its chance.
LayerDraws draws_of(const std::vector<LayerChance>& chances, const std::vector<double>& uniforms);

// The draw of a training step by `key`: equal keys run equal layers.
LayerDraws draw_layers(const LayerDropConfig& config, int64_t layers, int64_t updates, uint64_t key);

// What runs outside training; nullopt: all layers as they are.
std::optional<LayerDraws> inference_layers(const LayerDropConfig& config, int64_t layers);

// Puts into a pass what its layers do: drawn by the pass's keys in training.
void add_layer_draws(const LayerDropConfig& config, int64_t layers, Pass& pass);

// Indices, from 0, of "2,4,6" or "every:2" (the second, the fourth ...), of `count` layers numbered from 1. Throws
// usage. `where`: what gave the text; empty: the option "layers".
std::vector<size_t> parse_layers(const std::string& text, size_t count, const std::string& where = "");

// Which of a stack's layers one is, of those that draws may leave out.
struct DropPlace {
    size_t index = 0;
    double step_scale = 1;  // of its branches outside training
    LayerDraw draw(const Pass& pass) const;
};

// A layer that a draw may leave out.
class DroppableLayer : public Unit {
 public:
    DroppableLayer(std::unique_ptr<Unit> layer, std::shared_ptr<const DropPlace> place)
        : layer_(std::move(layer)),
          place_(std::move(place)) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override { return {layer_.get()}; }
    void trace_bag(BagTrace& trace) const override;
    std::string own_residual() const override { return layer_->own_residual(); }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

 private:
    std::unique_ptr<Unit> layer_;
    std::shared_ptr<const DropPlace> place_;
};

}  // namespace lithe

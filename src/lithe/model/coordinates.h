// Coordinates of the Universal Transformer (Dehghani et al. 2019, section 2.1, equation 6): before step t of the stack,
// sinusoids of each token's position and of t are added.
#pragma once

#include <memory>

#include "lithe/model/unit.h"

namespace lithe {

// A layer, step `step` of its stack, counted from 1.
class CoordinateLayer : public Unit {
 public:
    CoordinateLayer(std::unique_ptr<Unit> layer, int64_t step) : layer_(std::move(layer)), step_(step) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override { return {layer_.get()}; }
    std::string own_residual() const override { return layer_->own_residual(); }

 private:
    Tensor with_coordinates(const Tensor& x_TBD, const Pass& pass) const;
    std::unique_ptr<Unit> layer_;
    int64_t step_;
};

}  // namespace lithe

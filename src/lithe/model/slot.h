// A searched place of a layout: several candidates, of which a call runs one, or all mixed (PAR Transformer, Mandava et
// al. 2021, section 3; Gumbel-softmax: Jang et al. 2017):
//
//   X_l = sum_i m_i F_i(X_{l-1}) = X_{l-1} + sum_i m_i (F_i(X_{l-1}) - X_{l-1}),   sum_i m_i = 1
//
// The second form is what is computed: the stream passes unrounded, and the identity costs nothing.
#pragma once

#include <memory>

#include "lithe/model/unit.h"

namespace lithe {

// What a searched place of a layout runs: one candidate, or all of them mixed.
struct SlotChoice {
    int64_t index = -1;  // one candidate; -1: all, weighted
    Tensor weights;      // [candidates], summing to 1
};
// One for each place: the entry of a pass that a network with searched places needs.
struct SlotChoices {
    std::vector<SlotChoice> places;
};

class Slot : public Unit {
 public:
    // `candidates` are Shells; `index`: its place in SlotChoices.
    Slot(std::vector<std::unique_ptr<Shell>> candidates, size_t index)
        : candidates_(std::move(candidates)),
          index_(index) {}
    // The state has a part per candidate; one that does not run remembers what came by, as a dropped layer does. What
    // candidates write to the bag stays in the place.
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override;
    void trace_bag(BagTrace& trace) const override;
    std::string own_residual() const override;

 private:
    // F(x) - x of one candidate; undefined: zero.
    Tensor difference(const Shell& candidate, const Flow& flow, const State& state, const Pass& pass, State& after,
                      Aux& aux) const;
    State pass_by(const Shell& candidate, const Tensor& x_TBD, const State& state, const Pass& pass) const;
    std::vector<std::unique_ptr<Shell>> candidates_;
    size_t index_;
};

// All places, one candidate each.
SlotChoices choose_slots(const std::vector<int64_t>& indices);

}  // namespace lithe

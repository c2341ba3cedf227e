// Skip RNN (Campos et al. 2018) as options of every kind whose recurrence is element by element: a gate, learned by a
// straight-through estimator, says at which steps of a row the state is updated. Between them state and output stay as
// they are. Formula: ops/skip_recurrence.h.
//
// Loss, in training: update_cost x the share of positions that update; the paper's cost of a sample, for a loss that is
// a mean over positions. Outside of training the gate has no gradient.
#pragma once

#include "lithe/blocks/block.h"
#include "lithe/ops/recurrence.h"

namespace lithe {

struct UpdateValues {
    bool skip_updates = false;
    double update_cost = 0;
    void visit(FieldVisitor& v);
    void check(const std::string& where, Problems& problems) const;
};

class UpdateGate {
 public:
    UpdateGate() = default;
    // `width`: of the recurrence. Without `skip_updates` there is no gate.
    UpdateGate(const UpdateValues& values, const BlockSite& site, int64_t width);
    explicit operator bool() const { return bool(w_); }
    // Runs `in` from the state of `before`; puts the last state, the loss and the metric into `out`. Returns h.
    Tensor run(const ops::RecurrenceInput& in, const State& before, const Call& call, BranchOutput& out) const;
    // Numbers that the backward pass keeps of a token beside those of the recurrence.
    double activation_numbers_per_token() const { return w_ ? 6 * double(width_) : 0; }

 private:
    double cost_ = 0;
    int64_t width_ = 0;
    std::string name_;
    Parameter w_, b_;
};

}  // namespace lithe

#include "lithe/blocks/update_gate.h"

#include "lithe/base/position_flags.h"
#include "lithe/ops/skip_recurrence.h"

namespace lithe {
namespace {

// Of all positions that are no padding.
Tensor mean_over_positions(const Tensor& updates_TB, const Tensor& flags_TB) {
    if (!flags_TB.defined()) return updates_TB.mean();
    const Tensor valid = flags_TB.bitwise_and(int64_t(kPadding)).eq(0).sum();
    return updates_TB.sum() / valid.clamp_min(1);
}

}  // namespace

void UpdateValues::visit(FieldVisitor& v) {
    v.field({.name = "skip_updates",
             .help = "a learned gate says at which steps the state is updated (Skip RNN); not with single steps"},
            skip_updates);
    v.field({.name = "update_cost",
             .help = "with skip_updates: loss for the share of positions that update",
             .minimum = 0,
             .maximum = 1e6},
            update_cost);
}

void UpdateValues::check(const std::string& where, Problems& problems) const {
    if (update_cost > 0 && !skip_updates)
        problems.add(where + ".update_cost: without skip_updates every position updates", "",
                     "set skip_updates = true, or leave update_cost out");
}

UpdateGate::UpdateGate(const UpdateValues& values, const BlockSite& site, int64_t width)
    : cost_(values.update_cost),
      width_(width),
      name_(site.name) {
    if (!values.skip_updates) return;
    w_ = site.store.add({site.name + ".update_w", {width}, Role::vector, Init::xavier(width, 1)});
    b_ = site.store.add({site.name + ".update_b", {1}, Role::bias, Init::constant(1)});
}

Tensor UpdateGate::run(const ops::RecurrenceInput& in, const State& before, const Call& call, BranchOutput& out) const {
    ops::SkipRecurrenceInput skipping{.cell = in,
                                      .w_D = w_.tensor(),
                                      .b_1 = b_.tensor(),
                                      .h0_BD = before.get("h"),
                                      .p0_B = before.get("update_probability"),
                                      .m0_B = before.get("update_sum"),
                                      .straight_through = call.pass.training};
    skipping.cell.c0_BD = before.get("c");
    skipping.cell.flags_TB = call.pass.flags_TB();
    const ops::SkipRecurrenceOutput ran = ops::skip_recurrence(skipping);
    out.state.put("c", ran.c_BD, 0);
    if (ran.h_BD.defined()) out.state.put("h", ran.h_BD, 0);
    out.state.put("update_probability", ran.p_B, 0);
    out.state.put("update_sum", ran.m_B, 0);
    if (call.pass.training) {
        const Tensor share = mean_over_positions(ran.updates_TB, call.pass.flags_TB());
        if (cost_ > 0) out.aux.losses.emplace_back("updates", cost_ * share);
        out.aux.metrics.emplace_back(name_ + ".updates", share.detach());
    }
    return ran.h_TBD;
}

}  // namespace lithe

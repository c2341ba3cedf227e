#include "lithe/ops/sru.h"

namespace lithe::ops {
namespace {

kernels::Cell cell_of(const SruInput& in) {
    using enum kernels::Cell;
    if (in.planes == 4) return in.tanh ? sru_projected_tanh : sru_projected;
    if (in.x_TBD.defined()) return in.tanh ? sru_tanh : kernels::Cell::sru;
    return in.tanh ? sru_bare_tanh : sru_bare;
}

}  // namespace

RecurrenceInput recurrence_of(const SruInput& in) {
    check(in.planes == 3 || in.planes == 4, "sru", "planes is 3 or 4");
    check(in.u.dim() == 3 && in.v_2D.dim() == 2 && in.v_2D.size(0) == 2, "sru",
          "expected u [T][B][planes D] and v [2][D], got " + shape_of(in.u) + " and " + shape_of(in.v_2D));
    check(in.u.size(2) == in.planes * in.v_2D.size(1), "sru",
          "u " + shape_of(in.u) + " does not hold " + std::to_string(in.planes) + " planes of " +
              std::to_string(in.v_2D.size(1)));
    return {.cell = cell_of(in),
            .u = in.u,
            .x_TBD = in.x_TBD,
            .weights = {in.v_2D, in.bias_2D},
            .c0_BD = in.c0_BD,
            .mask_BD = in.mask_BD,
            .flags_TB = in.flags_TB,
            .directions = in.directions,
            .alpha = in.alpha};
}

SruOutput sru(const SruInput& in) {
    const RecurrenceOutput out = recurrence(recurrence_of(in));
    return {out.h_TBD, out.c_BD};
}

}  // namespace lithe::ops

// The token before, as RWKV mixes it in (Peng et al. 2023, section 3.1.1): a row's first token of a document has zeros
// before it. Padding is passed over, and the last token goes to the next segment.
#pragma once

#include "lithe/blocks/block.h"
#include "lithe/ops/short_convolution.h"

namespace lithe {

struct TokenShift {
    // What the token before has more than each token, [T][B][D].
    static Tensor run(const Tensor& x_TBD, const State& before, const Call& call, State& after) {
        const auto numbers = x_TBD.options().dtype(ops::compute_type(x_TBD.scalar_type())).requires_grad(false);
        const Tensor taps_KD = at::cat({at::ones({1, x_TBD.size(2)}, numbers), at::zeros({1, x_TBD.size(2)}, numbers)});
        const auto shifted = ops::short_convolution({.x_TBD = x_TBD,
                                                     .w_KD = taps_KD,
                                                     .bias_D = Tensor(),
                                                     .before_LBD = before.get("shift"),
                                                     .flags_TB = call.pass.flags_TB()});
        after.put("shift", shifted.last_LBD, 1);
        return shifted.y_TBD - x_TBD;
    }
};

}  // namespace lithe

// Each token beside those before it, for convolutions that are products: [x_t, x_{t-1}, ..., x_{t-k+1}].
//
// "Before" is as in kernels/short_convolution/short_convolution.h: in the same document, padded steps passed over, 0
// where there is none. At a padded step the window is that of some token, or of none.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct TokenWindows {
    Tensor windows_TBX;  // [T][B][k D], the step's own token first
    Tensor last_LBD;     // the last k - 1 tokens of every row, newest last: `before` of the next segment
};

// k >= 2; before [k - 1][B][D], newest last, undefined: zeros; flags: uint8 of base/position_flags.h, undefined: none.
// Made of LibTorch's operators. Throws when shapes do not fit.
TokenWindows token_windows(const Tensor& x_TBD, const Tensor& before_LBD, const Tensor& flags_TB, int64_t k);

}  // namespace lithe::ops

// ATR, the addition-subtraction twin-gated network (Zhang et al. 2018, "Simplifying Neural Machine Translation with
// Addition-Subtraction Twin-Gated Recurrent Networks"; bzhangGo/lrn), LRN's forerunner. The output replaces the input.
//
//   p = x W^T + b, q = h_{t-1} U^T + b'         h_t = tanh(s(p + q) p + s(p - q) h_{t-1})
#pragma once

#include "lithe/blocks/hidden_state.h"

namespace lithe {

struct AtrBlock : HiddenStateBlock {
    AtrBlock(const HiddenValues& values, const BlockSite& site);
};

}  // namespace lithe

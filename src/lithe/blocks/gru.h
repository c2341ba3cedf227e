// GRU (Cho et al. 2014), in torch.nn.GRU's form: a baseline. The output replaces the input.
#pragma once

#include "lithe/blocks/hidden_state.h"

namespace lithe {

struct GruBlock : HiddenStateBlock {
    GruBlock(const HiddenValues& values, const BlockSite& site);
};

}  // namespace lithe

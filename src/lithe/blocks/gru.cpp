#include "lithe/blocks/gru.h"

#include "lithe/ops/gru.h"

namespace lithe {

GruBlock::GruBlock(const HiddenValues&, const BlockSite& site)
    : HiddenStateBlock({.planes = 3, .run = ops::gru, .step = kernels::step_gru},
                       GatedWeights::uniform(site.model.width), site) {}

}  // namespace lithe

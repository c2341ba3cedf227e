#include "lithe/blocks/atr.h"

#include <cmath>

#include "lithe/ops/atr.h"

namespace lithe {
namespace {

void step_atr(const kernels::StepGates& args, int64_t begin, int64_t end) {
    const auto sigmoid = [](float v) { return 1 / (1 + std::exp(-v)); };
    for (int64_t i = begin; i < end; ++i) {
        const float p = args.u[i], q = args.s[i];
        args.h[i] = std::tanh(sigmoid(p + q) * p + sigmoid(p - q) * args.h[i]);
    }
}

}  // namespace

AtrBlock::AtrBlock(const HiddenValues&, const BlockSite& site)
    : HiddenStateBlock({.planes = 1, .run = ops::atr, .step = step_atr},
                       {.matrices = Init::xavier(site.model.width, site.model.width),
                        .input_bias = Init::constant(0),
                        .state_bias = Init::constant(0)},
                       site) {}

}  // namespace lithe

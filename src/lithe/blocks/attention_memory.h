// What attention with memory shares among block kinds: which earlier positions are there, who sees them, what is kept.
//
// The state holds either the inputs of earlier positions ("memory" [M][B][D], re-projected by today's weights: the
// papers' form) or, under Context::keep_projections, their keys and values side by side ("projections" [M][B][2P]: the
// same numbers while weights do not change). "hidden" [B][M] marks positions that a row must not see: padding, or
// before its document began.
#pragma once

#include "lithe/blocks/block.h"
#include "lithe/ops/attention.h"

namespace lithe {

// The mask for T queries after M memory positions, and the "hidden" row of the next state (undefined when nothing is
// hidden).
struct MaskAndHidden {
    ops::AttentionMask mask;
    Tensor hidden_BS;  // as the next segment must see positions [0, M + T)
};
MaskAndHidden make_mask(const State& before, int64_t memory, int64_t steps, int64_t batch, const Context& context);

// The last `count` of [old; now] along `axis`; `old` may be undefined.
Tensor keep_last(const Tensor& old, const Tensor& now, int axis, int64_t count);

// Puts into `after` what the next segment needs: inputs, or keys and values (kv [T][B][2P] of this segment), and hidden
// marks.
void remember_inputs(const State& before, const Tensor& x_TBD, const MaskAndHidden& mask, const Context& context,
                     State& after);
void remember_projections(const State& before, const Tensor& kv_TBX, const MaskAndHidden& mask, const Context& context,
                          State& after);

// The state of an attention that was left out: its memory of inputs takes x in.
State skipped_attention(const Tensor& x_TBD, const State& before, const Context& context);

}  // namespace lithe

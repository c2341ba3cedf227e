// What attention with memory shares among block kinds: which earlier positions are there, who sees them, what is kept.
//
// The state holds either the inputs of earlier positions ("memory" [M][B][D], re-projected by today's weights: the
// papers' form) or, under Pass::keep_projections, what attention takes them as ("projections" [M][B][X]: keys and
// values side by side, 2P, or SRU++'s P that stand for both; the same numbers while weights do not change). "hidden"
// [B][M] marks positions that a row must not see: padding, or before its document began.
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
MaskAndHidden make_mask(const State& before, int64_t memory, int64_t steps, int64_t batch, const Pass& pass);

// The last `count` of [old; now] along `axis`; `old` may be undefined.
Tensor keep_last(const Tensor& old, const Tensor& now, int axis, int64_t count);

// What attention sees beside its segment: the memory's keys and values (undefined: none), and the mask over all keys.
struct Recalled {
    Tensor memory_MBX;
    MaskAndHidden mask;
    int64_t length() const { return memory_MBX.defined() ? memory_MBX.size(0) : 0; }
};
// `project` makes what attention takes, [M][B][X], of a memory of inputs [M][B][D].
Recalled recall(const State& before, const Tensor& x_TBD, const Call& call,
                const std::function<Tensor(const Tensor&)>& project);
// Puts into `after` what the next segment needs: the inputs of this one, or its keys and values kv [T][B][X], and
// hidden marks.
void remember(const State& before, const Recalled& recalled, const Tensor& x_TBD, const Tensor& kv_TBX,
              const Call& call, State& after);

// Numbers per token that the backward pass keeps of the scores: the probabilities where they are small, or with dropout
// of attention weights `matrices` matrices of them.
double kept_scores(const CostShape& shape, int64_t heads, double dropout, int matrices);

// The state of an attention that was left out: its memory takes x in. `project`: as recall()'s, for a memory of
// projections; without it there is none.
State skipped_attention(const Tensor& x_TBD, const State& before, const Call& call,
                        const std::function<Tensor(const Tensor&)>& project = {});

}  // namespace lithe

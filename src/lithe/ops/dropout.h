// Counter-based dropout as a differentiable operator. Rule: kernels/dropout/dropout.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// Which mask is drawn: by a number, and by one that lives where x does, so that a recorded step (ops/graph.h) draws
// another each time it is played.
struct DropoutKey {
    uint64_t key = 0;
    Tensor salt;  // one int64, xored into the key; undefined: none
    DropoutKey(uint64_t key_ = 0, Tensor salt_ = {}) : key(key_), salt(std::move(salt_)) {}
};

// Returns x itself when probability is 0.
Tensor dropout(const Tensor& x, double probability, const DropoutKey& key);
// [B][D] of 0 or 1/(1-p), in the compute type: SRU's mask, shared over time.
Tensor dropout_mask(at::IntArrayRef sizes, double probability, const DropoutKey& key, at::TensorOptions options);

}  // namespace lithe::ops

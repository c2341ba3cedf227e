// A linear layer and the cross-entropy over its outputs, as one operator that never holds all logits: rows are worked
// on in chunks, and a chunk's gradient is made while its logits are there (Hsu et al. 2024, "Liger Kernel", section
// 3.2). Formula of a row: kernels/cross_entropy/cross_entropy.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// sum_n loss_n in nats, with label smoothing where asked for (fp32; fp64 for fp64 input) with logits h_ND W_VD^T +
// bias_V. targets: int64 [N]; -1 is not scored; anything else outside [0, V) throws. chunk_bytes bounds the logits of a
// chunk, which has at least 64 rows.
Tensor linear_cross_entropy(const Tensor& h_ND, const Tensor& weight_VD, const Tensor& bias_V, const Tensor& targets_N,
                            double smoothing = 0, int64_t chunk_bytes = 32 << 20);

}  // namespace lithe::ops

// Counter-based dropout as a differentiable operator. Rule: kernels/dropout/dropout.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// Which mask is drawn: by a number, by one that lives where x does, so that a recorded step (ops/graph.h) draws another
// each time it is played, and by the numbers of the rows in the update, so that a row's mask does not depend on how the
// batch is cut.
struct DropoutKey {
    uint64_t key = 0;
    Tensor salt;            // one int64, xored into the key; undefined: none
    int64_t first_row = 0;  // the number, in the update, of the tensor's first row
    DropoutKey(uint64_t key_ = 0, Tensor salt_ = {}, int64_t first_row_ = 0)
        : key(key_),
          salt(std::move(salt_)),
          first_row(first_row_) {}
};

// In place of an axis of rows: x is shared by all rows, and so is its mask.
constexpr int64_t kSharedByRows = -1;

// `row_axis` is x's batch axis: 1 of x_TBD. Returns x itself when probability is 0.
Tensor dropout(const Tensor& x, double probability, const DropoutKey& key, int64_t row_axis);
// Of attention weights [B H][T][S], whose first axis has all heads of a row side by side.
Tensor dropout_of_heads(const Tensor& p_NTS, int64_t heads, double probability, const DropoutKey& key);
// [B][D] of 0 or 1/(1-p), in the compute type: SRU's mask, shared over time.
Tensor dropout_mask(at::IntArrayRef sizes, double probability, const DropoutKey& key, at::TensorOptions options);

}  // namespace lithe::ops

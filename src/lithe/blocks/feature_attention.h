// What kinds of attention share whose weights are products of features, phi(q_i) . phi(k_j): their sums over the whole
// segment, and the column of ones in v that makes the denominator one more value.
#pragma once

#include "lithe/blocks/block.h"

namespace lithe {

// [v, 1] of [T][B][heads][size].
Tensor with_ones(const Tensor& v_TBHV);
// Sums over all positions but padding, and what each query reads of them: [T][B][heads][value] from phi(q), phi(k), v.
Tensor sums_over_all(const Tensor& q_TBHK, const Tensor& k_TBHK, const Tensor& v_TBHV, const Pass& pass);

}  // namespace lithe

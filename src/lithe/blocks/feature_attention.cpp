#include "lithe/blocks/feature_attention.h"

#include "lithe/ops/heads.h"

namespace lithe {

Tensor with_ones(const Tensor& v_TBHV) {
    return at::cat({v_TBHV, at::ones({v_TBHV.size(0), v_TBHV.size(1), v_TBHV.size(2), 1}, v_TBHV.options())}, 3);
}

Tensor sums_over_all(const Tensor& q_TBHK, const Tensor& k_TBHK, const Tensor& v_TBHV, const Pass& pass) {
    const int64_t heads = q_TBHK.size(2);
    Tensor k = k_TBHK;
    if (pass.marks) k = k.masked_fill(pass.marks->padding_BT.transpose(0, 1).ne(0).unsqueeze(2).unsqueeze(3), 0);
    const auto first = [&](const Tensor& x) { return ops::heads_first(x.flatten(2), heads); };
    const Tensor state = at::bmm(first(k).transpose(1, 2), first(v_TBHV));
    return ops::heads_last(at::bmm(first(q_TBHK), state), heads).unflatten(2, {heads, v_TBHV.size(3)});
}

}  // namespace lithe

#include "lithe/kernels/matrix_state/normalised_state_ref.h"

namespace lithe::kernels {
namespace {

// S_{t-1} becomes S_t.
template <class S> void advance(const Head<S>& at, int64_t t, std::vector<Compute<S>>& s) {
    for (int64_t c = 0; c < at.key; ++c) {
        const Compute<S> left = at.left(t, c), k = at.k(t, c);
        for (int64_t n = 0; n < at.value; ++n) {
            Compute<S>& number = s[size_t(c * at.value + n)];
            number = left * number + k * at.v(t, n);
        }
    }
}

// See walk_back().
template <class S>
void step_back(const MatrixStateBackward<S>& args, const Head<S>& at, int64_t t, const std::vector<Compute<S>>& before,
               const std::vector<Compute<S>>& after, std::vector<Compute<S>>& ds) {
    using C = Compute<S>;
    const bool padded = at.padded(t), by_channel = at.a.shape.decay == StateDecay::channel;
    std::vector<C> dq(size_t(at.key)), dk(dq), dv(size_t(at.value));
    C dg_of_head = 0;
    for (int64_t c = 0; c < at.key; ++c) {
        const C left = at.left(t, c);
        C dg = 0;
        for (int64_t n = 0; n < at.value; ++n) {
            const auto i = size_t(c * at.value + n);
            if (!padded) {
                ds[i] += at.q(t, c) * at.d_out(args, t, n);
                dq[size_t(c)] += at.a.scale * after[i] * at.d_out(args, t, n);
                dk[size_t(c)] += ds[i] * at.v(t, n);
                dv[size_t(n)] += ds[i] * at.k(t, c);
                dg += ds[i] * left * before[i];
            }
            ds[i] *= left;
        }
        dg_of_head += dg;
        if (by_channel) at.put_decay(args, t, c, dg);
    }
    at.put_rows(args, t, dq, dk);
    if (!by_channel) at.put_decay(args, t, 0, dg_of_head);
    for (int64_t n = 0; n < at.value; ++n) from_compute(dv[size_t(n)], args.dv.row(t, at.b, at.h)[n]);
}

}  // namespace

template <class S> void matrix_state_forward_ref(const MatrixStateForward<S>& args) {
    if (args.shape.normalised) return normalised_forward(args);
    walk(args, advance<S>);
}

template <class S> void matrix_state_backward_ref(const MatrixStateBackward<S>& args) {
    if (args.forward.shape.normalised) return normalised_backward(args);
    walk_back(args, advance<S>, [&](auto&&... of_step) { step_back(args, of_step...); });
}

#define LITHE_INSTANTIATE(S)                                                 \
    template void matrix_state_forward_ref<S>(const MatrixStateForward<S>&); \
    template void matrix_state_backward_ref<S>(const MatrixStateBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

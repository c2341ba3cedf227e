#include "lithe/kernels/rotary/rotary.h"

namespace lithe::kernels {

template <class S> void rotary_ref(const RotaryArgs<S>& a) {
    using C = Compute<S>;
    const int64_t half = a.turned / 2;
    for (int64_t r = 0; r < a.steps * a.batch; ++r) {
        const C* cosines = angles_of(a, r);
        const C* sines = cosines + half;
        for (int64_t j = 0; j < a.row; ++j) {
            const int64_t at = r * a.row + j, i = j % a.size;
            if (j >= a.heads * a.size || i >= a.turned) a.y[at] = a.x[at];
            if (j >= a.heads * a.size || i >= half) continue;
            const C low = to_compute(a.x[at]), high = to_compute(a.x[at + half]);
            const C sine = a.inverse ? -sines[i] : sines[i];
            from_compute(low * cosines[i] - high * sine, a.y[at]);
            from_compute(high * cosines[i] + low * sine, a.y[at + half]);
        }
    }
}

template void rotary_ref<float>(const RotaryArgs<float>&);
template void rotary_ref<bfloat16>(const RotaryArgs<bfloat16>&);
template void rotary_ref<double>(const RotaryArgs<double>&);

}  // namespace lithe::kernels

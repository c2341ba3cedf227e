// Compiled once per instruction set: rows of rotary positions.
#include "lithe/kernels/rotary/rotary_rows.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {

template <class S> void rotary_rows(const RotaryArgs<S>& a, int64_t begin, int64_t end) {
    using C = Compute<S>;
    const int64_t half = a.turned / 2, turned_numbers = a.heads * a.size;
    const C sign = a.inverse ? C(-1) : C(1);
    const auto copy = [&](const S* from, S* to, int64_t count) {
        if (from != to && count > 0) __builtin_memcpy(to, from, size_t(count) * sizeof(S));
    };
    for (int64_t r = begin; r < end; ++r) {
        const S* x = a.x + r * a.row;
        S* y = a.y + r * a.row;
        const C* cosines = angles_of(a, r);
        for (int64_t h = 0; h < a.heads; ++h) {
            const S* from = x + h * a.size;
            S* to = y + h * a.size;
            for_each_vector(half, [&](int64_t i, auto how) {
                const auto low = how.get(from + i), high = how.get(from + half + i);
                const auto cosine = how.get(cosines + i), sine = how.get(cosines + half + i) * sign;
                how.put(to + i, low * cosine - high * sine);
                how.put(to + half + i, high * cosine + low * sine);
            });
            copy(from + a.turned, to + a.turned, a.size - a.turned);
        }
        copy(x + turned_numbers, y + turned_numbers, a.row - turned_numbers);
    }
}

template void rotary_rows<float>(const RotaryArgs<float>&, int64_t, int64_t);
template void rotary_rows<bfloat16>(const RotaryArgs<bfloat16>&, int64_t, int64_t);
template void rotary_rows<double>(const RotaryArgs<double>&, int64_t, int64_t);

}  // namespace lithe::kernels::LITHE_ISA

// Compiled once per instruction set. A head's numbers stay in the first-level cache over their passes.
#include <type_traits>

#include "lithe/kernels/norm/rms_norm_rows.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// silu(z) and its slope.
template <class V> struct Gate {
    V value, slope;
    explicit Gate(V z) {
        const V open = sigmoid(z);
        value = z * open;
        slope = open * (1 + z * (1 - open));
    }
};

template <class S, NormGate kGate>
void forward(const RmsNormForward<S>& a, int64_t row, int64_t head, Compute<S>* numbers) {
    using C = Compute<S>;
    using V = Vec<C>;
    const int64_t at = (row * a.heads + head) * a.width;
    const S *x = a.x + at, *z = kGate == NormGate::none ? nullptr : a.z + row * a.z_row + head * a.width;
    V squares = V{};
    for_each_vector(a.width, [&](int64_t j, auto part) {
        V s = part.get(x + j);
        if constexpr (kGate == NormGate::before) s = s * Gate<V>(part.get(z + j)).value;
        store(numbers + j, s);
        squares += s * s;
    });
    const C r = 1 / root(sum(squares) / C(a.width) + C(a.epsilon));
    for_each_vector(a.width, [&](int64_t j, auto part) {
        V y = load(numbers + j) * r * part.get(a.gain + j);
        if constexpr (kGate == NormGate::after) y = y * Gate<V>(part.get(z + j)).value;
        part.put(a.y + at + j, y);
    });
    a.scales[row * a.heads + head] = r;
}

template <class S, NormGate kGate>
void backward(const RmsNormBackward<S>& args, int64_t row, int64_t head, Compute<S>* sums, Compute<S>* numbers) {
    using C = Compute<S>;
    using V = Vec<C>;
    const RmsNormForward<S>& a = args.forward;
    const int64_t at = (row * a.heads + head) * a.width;
    const S *x = a.x + at, *z = kGate == NormGate::none ? nullptr : a.z + row * a.z_row + head * a.width;
    const C r = a.scales[row * a.heads + head];
    C* const gradients = numbers + rms_norm_scratch(a.width) / 2;
    V dots = V{};
    for_each_vector(a.width, [&](int64_t j, auto part) {
        V n = part.get(x + j) * r, dy = part.get(args.dy + at + j);
        const V gain = part.get(a.gain + j);
        if constexpr (kGate == NormGate::before) n = n * Gate<V>(part.get(z + j)).value;
        if constexpr (kGate == NormGate::after) {
            const Gate<V> gate(part.get(z + j));
            part.put(args.dz + at + j, dy * gain * n * gate.slope);
            dy = dy * gate.value;
        }
        part.put(sums + j, part.get(sums + j) + dy * n);
        store(numbers + j, n);
        store(gradients + j, dy * gain);
        dots += dy * gain * n;
    });
    const C mean = sum(dots) / C(a.width);
    for_each_vector(a.width, [&](int64_t j, auto part) {
        V ds = (load(gradients + j) - load(numbers + j) * mean) * r;
        if constexpr (kGate == NormGate::before) {
            const Gate<V> gate(part.get(z + j));
            part.put(args.dz + at + j, ds * part.get(x + j) * gate.slope);
            ds = ds * gate.value;
        }
        part.put(args.dx + at + j, ds);
    });
}

// Calls work(gate, row, head), the gate a constant.
template <class S, class Work>
void for_each_head(const RmsNormForward<S>& a, int64_t begin, int64_t end, const Work& work) {
    auto over = [&](auto gate) {
        for (int64_t row = begin; row < end; ++row)
            for (int64_t head = 0; head < a.heads; ++head) work(gate, row, head);
    };
    switch (a.gate) {
        case NormGate::none: return over(std::integral_constant<NormGate, NormGate::none>());
        case NormGate::before: return over(std::integral_constant<NormGate, NormGate::before>());
        case NormGate::after: return over(std::integral_constant<NormGate, NormGate::after>());
    }
}

}  // namespace

template <class S>
void rms_norm_forward_rows(const RmsNormForward<S>& args, int64_t begin, int64_t end, Compute<S>* scratch) {
    for_each_head(args, begin, end, [&](auto gate, int64_t row, int64_t head) {
        forward<S, decltype(gate)::value>(args, row, head, scratch);
    });
}

template <class S>
void rms_norm_backward_rows(const RmsNormBackward<S>& args, int64_t begin, int64_t end, Compute<S>* sums,
                            Compute<S>* scratch) {
    __builtin_memset(sums, 0, size_t(args.forward.width) * sizeof *sums);
    for_each_head(args.forward, begin, end, [&](auto gate, int64_t row, int64_t head) {
        backward<S, decltype(gate)::value>(args, row, head, sums, scratch);
    });
}

#define LITHE_INSTANTIATE(S)                                                                         \
    template void rms_norm_forward_rows<S>(const RmsNormForward<S>&, int64_t, int64_t, Compute<S>*); \
    template void rms_norm_backward_rows<S>(const RmsNormBackward<S>&, int64_t, int64_t, Compute<S>*, Compute<S>*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA

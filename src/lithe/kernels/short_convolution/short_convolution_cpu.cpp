// Compiled once per instruction set. One task walks time; at each step the taps are pointers to rows that lie in the
// first-level cache from the steps before.
#include "lithe/kernels/short_convolution/short_convolution_block.h"
#include "lithe/kernels/short_convolution/short_convolution_steps.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class S> struct Taps {
    using C = Compute<S>;
    const ShortConvolutionForward<S>& a;
    const ConvolutionBlock& k;
    const S* at[kMostTaps];  // [j]: the j-th token before, this step's first

    // What step t of row b sees; t = -1 with `after`: what would be seen after the segment, without a step of its own.
    void find(int64_t t, int64_t b) {
        for (int j = 0; j < a.shape.taps; ++j, t = step_before(a.flags, a.shape.batch, b, t)) set(j, t, b);
    }
    void find_left(int64_t b) {
        int64_t t = newest_step(a.flags, a.shape.batch, b, a.shape.steps);
        for (int j = 0; j + 1 < a.shape.taps; ++j, t = step_before(a.flags, a.shape.batch, b, t)) set(j, t, b);
    }
    void set(int j, int64_t step, int64_t b) {
        alignas(64) static const S zeros[kConvolutionBlock] = {};
        const S* token = token_at(a, step, b, k.first);
        at[j] = token ? token : zeros;
    }
    // w of the j-th token before.
    const C* w(int j) const { return a.w + (a.shape.taps - 1 - j) * a.shape.width + k.first; }
    int64_t row(int64_t t, int64_t b) const { return (t * a.shape.batch + b) * a.shape.width + k.first; }
    uint8_t flags(int64_t t, int64_t b) const { return a.flags ? a.flags[t * a.shape.batch + b] : 0; }
};

// kTaps 0: as many as the shape says.
template <int kTaps, class S, class P>
inline Vec<Compute<S>> sum_of(const Taps<S>& taps, const Compute<S>* bias, int64_t i, P part) {
    using V = Vec<Compute<S>>;
    V z = bias ? part.get(bias + i) : V{};
    const int count = kTaps ? kTaps : taps.a.shape.taps;
    for (int j = 0; j < count; ++j) z = z + part.get(taps.w(j) + i) * part.get(taps.at[j] + i);
    return z;
}

template <class S> void leave(const ShortConvolutionForward<S>& a, const ConvolutionBlock& k, Taps<S>& taps) {
    for (int64_t row = k.row; row < k.row + k.rows; ++row) {
        taps.find_left(row);
        for (int slot = 0; slot + 1 < a.shape.taps; ++slot)  // oldest first: `last` may be `before`
            __builtin_memmove(a.last + taps.row(slot, row), taps.at[a.shape.taps - 2 - slot],
                              size_t(k.count) * sizeof(S));
    }
}

template <int kTaps, bool kSilu, class S> void forward(const ShortConvolutionForward<S>& a, const ConvolutionBlock& k) {
    using V = Vec<Compute<S>>;
    Taps<S> taps{a, k, {}};
    const Compute<S>* bias = a.bias ? a.bias + k.first : nullptr;
    for (int64_t t = 0; t < a.shape.steps; ++t)
        for (int64_t b = k.row; b < k.row + k.rows; ++b) {
            S* y = a.y + taps.row(t, b);
            if (taps.flags(t, b) & kPadding) {
                __builtin_memset(y, 0, size_t(k.count) * sizeof(S));
                continue;
            }
            taps.find(t, b);
            for_each_vector(k.count, [&](int64_t i, auto part) {
                V z = sum_of<kTaps, S>(taps, bias, i, part);
                if constexpr (kSilu) z = z * sigmoid(z);
                part.put(y + i, z);
            });
        }
    leave(a, k, taps);
}

// Gradients of the tokens before a step, by what followed it: `token`; and of the weights: `sums`.
template <class S> struct Carried {
    using C = Compute<S>;
    alignas(64) C token[kConvolutionRows][kMostTaps][kConvolutionBlock];  // [row][j]: the j-th newest; one is always 0
    alignas(64) C sums[kMostTaps + 1][kConvolutionBlock];

    Carried(const ShortConvolutionBackward<S>& args, const ConvolutionBlock& k, const Taps<S>& taps) {
        __builtin_memset(token, 0, sizeof token);
        __builtin_memset(sums, 0, sizeof sums);
        const int slots = args.forward.shape.taps - 1;
        for (int64_t row = 0; args.dlast && row < k.rows; ++row)
            for (int j = 0; j < slots; ++j)
                for (int64_t i = 0; i < k.count; ++i)
                    token[row][j][i] = to_compute(args.dlast[taps.row(slots - 1 - j, k.row + row) + i]);
    }
    void give(const ShortConvolutionBackward<S>& args, const ConvolutionBlock& k, const Taps<S>& taps) const {
        const int slots = args.forward.shape.taps - 1;
        for (int64_t row = 0; args.dbefore && row < k.rows; ++row)
            for (int j = 0; j < slots; ++j)
                for (int64_t i = 0; i < k.count; ++i)
                    from_compute(token[row][j][i], args.dbefore[taps.row(slots - 1 - j, k.row + row) + i]);
        for (int j = 0; j < slots + 2; ++j)
            for (int64_t i = 0; i < k.count; ++i)
                args.partial[(k.row / kConvolutionRows * (slots + 2) + j) * args.forward.shape.width + k.first + i] =
                    sums[j][i];
    }
};

template <int kTaps, bool kSilu, class S>
void backward(const ShortConvolutionBackward<S>& args, const ConvolutionBlock& k) {
    using C = Compute<S>;
    using V = Vec<C>;
    const ShortConvolutionForward<S>& a = args.forward;
    Taps<S> taps{a, k, {}};
    Carried<S> carried(args, k, taps);
    const C* bias = a.bias ? a.bias + k.first : nullptr;
    const int count = kTaps ? kTaps : a.shape.taps;
    for (int64_t t = a.shape.steps - 1; t >= 0; --t)
        for (int64_t row = 0; row < k.rows; ++row) {
            const int64_t b = k.row + row;
            const uint8_t flags = taps.flags(t, b);
            S* dx = args.dx + taps.row(t, b);
            auto& token = carried.token[row];
            if (flags & kPadding) {
                __builtin_memset(dx, 0, size_t(k.count) * sizeof(S));
            } else {
                const S* dy = args.dy + taps.row(t, b);
                taps.find(t, b);
                for_each_vector(k.count, [&](int64_t i, auto part) {
                    V dz = part.get(dy + i);
                    if constexpr (kSilu) {
                        const V z = sum_of<kTaps, S>(taps, bias, i, part), s = sigmoid(z);
                        dz = dz * s * (1 + z * (1 - s));
                    }
                    part.put(dx + i, part.get(taps.w(0) + i) * dz + part.get(token[0] + i));
                    for (int j = 0; j < count; ++j) {
                        if (j > 0) part.put(token[j - 1] + i, part.get(taps.w(j) + i) * dz + part.get(token[j] + i));
                        C* sum = carried.sums[count - 1 - j] + i;
                        part.put(sum, part.get(sum) + dz * part.get(taps.at[j] + i));
                    }
                    C* sum = carried.sums[count] + i;
                    part.put(sum, part.get(sum) + dz);
                });
            }
            if (flags & kDocumentBegins) __builtin_memset(token, 0, sizeof token);
        }
    carried.give(args, k, taps);
}

}  // namespace

template <class S> void convolution_forward_block(const ShortConvolutionForward<S>& a, const ConvolutionBlock& k) {
    if (a.shape.taps == 4) return a.shape.silu ? forward<4, true>(a, k) : forward<4, false>(a, k);
    return a.shape.silu ? forward<0, true>(a, k) : forward<0, false>(a, k);
}

template <class S> void convolution_backward_block(const ShortConvolutionBackward<S>& args, const ConvolutionBlock& k) {
    const ShortConvolutionShape& shape = args.forward.shape;
    if (shape.taps == 4) return shape.silu ? backward<4, true>(args, k) : backward<4, false>(args, k);
    return shape.silu ? backward<0, true>(args, k) : backward<0, false>(args, k);
}

#define LITHE_INSTANTIATE(S)                                                                                \
    template void convolution_forward_block<S>(const ShortConvolutionForward<S>&, const ConvolutionBlock&); \
    template void convolution_backward_block<S>(const ShortConvolutionBackward<S>&, const ConvolutionBlock&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA

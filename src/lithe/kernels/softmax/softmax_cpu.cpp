// Compiled once per instruction set.
#include "lithe/kernels/simd/vec.h"
#include "lithe/kernels/softmax/softmax_rows.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

constexpr double kLowest = -3e38;

template <class S> inline void clear(S* row, int64_t begin, int64_t end) {
    if (end > begin) __builtin_memset(row + begin, 0, size_t(end - begin) * sizeof(S));
}

inline float logarithm(float x) { return __builtin_logf(x); }
inline double logarithm(double x) { return __builtin_log(x); }

// Marks of what a query does not see: outside of its block's spans, or hidden.
inline const uint8_t* outside_spans(const SoftmaxMask& mask, int64_t b, int64_t h, int64_t i, const uint8_t* hidden,
                                    uint8_t* marks) {
    __builtin_memset(marks, 1, size_t(mask.keys));
    const QueryBlock& block = block_of(mask, b, h, i);
    for (int64_t n = block.first; n < block.last; ++n)
        for (int64_t j = mask.spans.spans[n].begin; j < mask.spans.spans[n].end; ++j) marks[j] = hidden && hidden[j];
    return marks;
}

// Returns log sum exp.
template <class S>
Compute<S> forward_row(S* row, KeyRange keys, int64_t all, const uint8_t* hidden, Compute<S> scale,
                       Compute<S>* scratch) {
    using C = Compute<S>;
    using V = Vec<C>;
    const int64_t begin = keys.begin, end = keys.end;
    clear(row, 0, begin);
    clear(row, end, all);
    V high = broadcast(C(kLowest));
    C rest = C(kLowest);
    sweep(
        begin, end,
        [&](int64_t j) {
            V s = load(row + j) * scale;
            store(scratch + j, s);
            if (!hidden) high = max(high, s);
        },
        [&](int64_t j) {
            scratch[j] = to_compute(row[j]) * scale;
            if (!hidden && scratch[j] > rest) rest = scratch[j];
        });
    if (hidden) {
        for (int64_t j = begin; j < end; ++j) {
            if (hidden[j]) scratch[j] = C(kLowest);
            else if (scratch[j] > rest) rest = scratch[j];
        }
    }
    C highest_score = highest(high);
    if (rest > highest_score) highest_score = rest;
    if (highest_score <= C(kLowest)) {  // sees nothing
        clear(row, begin, end);
        return C(kNothing);
    }

    V total = V{};
    C tail = 0;
    // one lane of a vector for the rest, so that every element goes through the same exp
    sweep(
        begin, end,
        [&](int64_t j) {
            V e = exp(load(scratch + j) - highest_score);
            store(scratch + j, e);
            total += e;
        },
        [&](int64_t j) {
            scratch[j] = exp(broadcast(scratch[j] - highest_score))[0];
            tail += scratch[j];
        });
    if (hidden) {  // exp clamps its argument, so hidden keys are set to nothing by hand
        total = V{};
        tail = 0;
        for (int64_t j = begin; j < end; ++j) {
            if (hidden[j]) scratch[j] = 0;
            tail += scratch[j];
        }
    }
    const C whole = sum(total) + tail, factor = 1 / whole;
    sweep(
        begin, end, [&](int64_t j) { store(row + j, load(scratch + j) * factor); },
        [&](int64_t j) { from_compute(scratch[j] * factor, row[j]); });
    return highest_score + logarithm(whole);
}

template <class S> void backward_row(const S* p, S* d, KeyRange keys, int64_t all, Compute<S> scale, Compute<S> d_lse) {
    using C = Compute<S>;
    using V = Vec<C>;
    V dots = V{};
    C dot = 0;
    sweep(
        keys.begin, keys.end, [&](int64_t j) { dots += load(p + j) * load(d + j); },
        [&](int64_t j) { dot += to_compute(p[j]) * to_compute(d[j]); });
    dot += sum(dots) - d_lse;
    clear(d, 0, keys.begin);
    clear(d, keys.end, all);
    sweep(
        keys.begin, keys.end, [&](int64_t j) { store(d + j, load(p + j) * (load(d + j) - dot) * scale); },
        [&](int64_t j) { from_compute(to_compute(p[j]) * (to_compute(d[j]) - dot) * scale, d[j]); });
}

}  // namespace

template <class S>
void softmax_forward_rows(const SoftmaxForward<S>& a, int64_t begin, int64_t end, Compute<S>* scratch, uint8_t* marks) {
    for (int64_t row = begin; row < end; ++row) {
        const int64_t n = row / a.mask.queries, b = n / a.mask.heads, h = n % a.mask.heads, i = row % a.mask.queries;
        const uint8_t* hidden = a.mask.hidden ? a.mask.hidden + b * a.mask.keys : nullptr;
        if (a.mask.spans.lists) hidden = outside_spans(a.mask, b, h, i, hidden, marks);
        const Compute<S> lse = forward_row(a.scores + row * a.mask.keys, visible_keys(a.mask, b, i), a.mask.keys,
                                           hidden, a.scale, scratch);
        if (a.lse) a.lse[row] = lse;
    }
}

template <class S> void softmax_backward_rows(const SoftmaxBackward<S>& a, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
        int64_t b = row / (a.mask.heads * a.mask.queries), i = row % a.mask.queries;
        backward_row(a.probabilities + row * a.mask.keys, a.gradient + row * a.mask.keys, visible_keys(a.mask, b, i),
                     a.mask.keys, a.scale, a.d_lse ? a.d_lse[row] : Compute<S>(0));
    }
}

#define LITHE_INSTANTIATE(S)                                                                                  \
    template void softmax_forward_rows<S>(const SoftmaxForward<S>&, int64_t, int64_t, Compute<S>*, uint8_t*); \
    template void softmax_backward_rows<S>(const SoftmaxBackward<S>&, int64_t, int64_t);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA

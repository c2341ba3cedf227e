// Compiled once per instruction set.
#include "lithe/kernels/cross_entropy/cross_entropy_rows.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// Logits of one row with the bias added, whole vectors or single values.
template <class S> struct Row {
    const S* logits;
    const Compute<S>* bias;
    Vec<Compute<S>> vector(int64_t v) const { return bias ? load(logits + v) + load(bias + v) : load(logits + v); }
    Compute<S> value(int64_t v) const { return bias ? to_compute(logits[v]) + bias[v] : to_compute(logits[v]); }
};

template <class S> Compute<S> sum_of_logits(const Row<S>& row, int64_t vocabulary) {
    Vec<Compute<S>> sums{};
    int64_t v = 0;
    for (; v + kLanes <= vocabulary; v += kLanes) sums += row.vector(v);
    Compute<S> total = sum(sums);
    for (; v < vocabulary; ++v) total += row.value(v);
    return total;
}

}  // namespace

template <class S>
void cross_entropy_sums(const CrossEntropyArgs<S>& a, int64_t begin, int64_t end, RowSums<Compute<S>>* out) {
    using C = Compute<S>;
    using V = Vec<C>;
    const int64_t whole = a.vocabulary / kLanes * kLanes;
    for (int64_t n = begin; n < end; ++n) {
        Row<S> row{a.logits + n * a.vocabulary, a.bias};
        V high = broadcast(C(-3e38));
        for (int64_t v = 0; v < whole; v += kLanes) high = max(high, row.vector(v));
        C top = highest(high);
        for (int64_t v = whole; v < a.vocabulary; ++v) top = row.value(v) > top ? row.value(v) : top;
        V sums = V{};
        C rest = 0;
        for (int64_t v = 0; v < whole; v += kLanes) sums += exp(row.vector(v) - top);
        for (int64_t v = whole; v < a.vocabulary; ++v) rest += exp(broadcast(row.value(v) - top))[0];
        out[n - begin] = {top, sum(sums) + rest, 0};
        if (a.smoothing > 0) out[n - begin].logits = sum_of_logits(row, a.vocabulary);
    }
}

template <class S> void cross_entropy_gradient(const CrossEntropyArgs<S>& a, int64_t begin, int64_t end) {
    using C = Compute<S>;
    const int64_t whole = a.vocabulary / kLanes * kLanes;
    for (int64_t n = begin; n < end; ++n) {
        S* logits = a.logits + n * a.vocabulary;
        Row<S> row{logits, a.bias};
        const int64_t target = a.targets[n];
        const C weight = target < 0 ? C(0) : a.weight[n], lse = a.lse[n];
        const C each = a.each();
        const C at_target =
            target < 0 ? C(0) : weight * (exp(broadcast(row.value(target) - lse))[0] - each - a.at_target());
        for (int64_t v = 0; v < whole; v += kLanes) store(logits + v, (exp(row.vector(v) - lse) - each) * weight);
        for (int64_t v = whole; v < a.vocabulary; ++v)
            from_compute((exp(broadcast(row.value(v) - lse))[0] - each) * weight, logits[v]);
        if (target >= 0) from_compute(at_target, logits[target]);
    }
}

#define LITHE_INSTANTIATE(S)                                                                                 \
    template void cross_entropy_sums<S>(const CrossEntropyArgs<S>&, int64_t, int64_t, RowSums<Compute<S>>*); \
    template void cross_entropy_gradient<S>(const CrossEntropyArgs<S>&, int64_t, int64_t);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA

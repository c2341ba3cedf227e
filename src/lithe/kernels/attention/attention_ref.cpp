#include <cmath>
#include <vector>

#include "lithe/kernels/attention/attention.h"

namespace lithe::kernels {
namespace {

template <class S> struct Head {
    const AttentionForward<S>& a;
    int64_t b, h;
    template <class T> T* at(const AttentionRows<T>& now, const AttentionRows<T>& memory, int64_t j) const {
        return j < a.memory ? memory.row(j, b, h) : now.row(j - a.memory, b, h);
    }
    const S* k(int64_t j) const { return at(a.k, a.memory_k, j); }
    const S* v(int64_t j) const { return a.v.data ? at(a.v, a.memory_v, j) : k(j); }
    double dot(const S* x, const S* y) const {
        double sum = 0;
        for (int64_t n = 0; n < a.size; ++n) sum += double(to_compute(x[n])) * double(to_compute(y[n]));
        return sum;
    }
    int64_t distance_row(int64_t i, int64_t j) const { return j + a.mask.queries - 1 - i; }
    double score(int64_t i, int64_t j) const {
        const double content = dot(a.q.row(i, b, h), k(j));
        if (!a.distance_q.data) return content;
        return content + dot(a.distance_q.row(i, b, h), a.distance_r.row(distance_row(i, j), b, h));
    }
    double cap() const { return double(a.soft_cap); }
    double slope() const { return a.slopes ? double(a.slopes[h]) : 0; }
    int64_t position(int64_t i) const { return a.mask.keys - a.mask.queries + i; }
    double bent(int64_t i, int64_t j) const {
        const double scaled = double(a.scale) * score(i, j);
        return (cap() > 0 ? cap() * std::tanh(scaled / cap()) : scaled) - slope() * double(position(i) - j) +
               bias(i, j);
    }
    double bias(int64_t i, int64_t j) const {
        const double* of_keys = a.key_bias ? a.key_bias + (b * a.mask.heads + h) * a.mask.keys : nullptr;
        return (of_keys ? of_keys[j] - of_keys[position(i)] : 0) +
               (a.distance_bias ? double(a.distance_bias[h * a.mask.keys + distance_row(i, j)]) : 0);
    }
    // d bent / d score
    double bend(int64_t i, int64_t j) const {
        if (cap() == 0) return double(a.scale);
        const double t = std::tanh(double(a.scale) * score(i, j) / cap());
        return double(a.scale) * (1 - t * t);
    }
    // p_i over all keys; returns log sum exp.
    double probabilities(int64_t i, std::vector<double>& p) const {
        double highest = -INFINITY, sum = 0;
        for (int64_t j = 0; j < a.mask.keys; ++j) {
            p[size_t(j)] = sees(a.mask, b, h, i, j) ? bent(i, j) : -INFINITY;
            highest = std::max(highest, p[size_t(j)]);
        }
        for (double& each : p) sum += each = highest == -INFINITY ? 0 : std::exp(each - highest);
        for (double& each : p) each = sum > 0 ? each / sum : 0;
        return sum > 0 ? highest + std::log(sum) : kNothing;
    }
};

template <class S> void write(const std::vector<double>& values, S* to) {
    for (size_t n = 0; n < values.size(); ++n) from_compute(Compute<S>(values[n]), to[n]);
}

}  // namespace

template <class S> void attention_forward_ref(const AttentionForward<S>& a) {
    std::vector<double> p(size_t(a.mask.keys)), out(size_t(a.size));
    for (int64_t row = 0; row < a.mask.batch * a.mask.heads * a.mask.queries; ++row) {
        const int64_t i = row % a.mask.queries, h = row / a.mask.queries % a.mask.heads,
                      b = row / a.mask.queries / a.mask.heads;
        const Head<S> head{a, b, h};
        const double lse = head.probabilities(i, p);
        if (a.lse) a.lse[row] = Compute<S>(lse);
        if (a.probabilities) write(p, a.probabilities + row * attention_row(a.mask.keys));
        for (int64_t n = 0; n < a.size; ++n) {
            out[size_t(n)] = 0;
            for (int64_t j = 0; j < a.mask.keys; ++j) out[size_t(n)] += p[size_t(j)] * double(to_compute(head.v(j)[n]));
        }
        write(out, a.out.row(i, b, h));
    }
}

template <class S> void attention_backward_ref(const AttentionBackward<S>& args) {
    const AttentionForward<S>& a = args.forward;
    const size_t keys = size_t(a.mask.keys), size = size_t(a.size);
    std::vector<double> p(keys), dp(keys), dq(size), distance_dq(size);
    for (int64_t task = 0; task < a.mask.batch * a.mask.heads; ++task) {
        const int64_t b = task / a.mask.heads, h = task % a.mask.heads;
        const Head<S> head{a, b, h};
        std::vector<std::vector<double>> dk(keys, std::vector<double>(size)), dv = dk, dr = dk;
        std::vector<double> d_key_bias(keys), d_distance_bias(keys);
        for (int64_t i = 0; i < a.mask.queries; ++i) {
            head.probabilities(i, p);
            double mean = args.d_lse ? -double(args.d_lse[task * a.mask.queries + i]) : 0;
            for (size_t j = 0; j < keys; ++j)
                mean += p[j] * (dp[j] = head.dot(args.d_out.row(i, b, h), head.v(int64_t(j))));
            if (a.key_bias && args.d_lse)
                d_key_bias[size_t(head.position(i))] -= double(args.d_lse[task * a.mask.queries + i]);
            std::fill(dq.begin(), dq.end(), 0.0);
            std::fill(distance_dq.begin(), distance_dq.end(), 0.0);
            for (size_t j = 0; j < keys; ++j) {
                if (p[j] == 0) continue;  // what is not visible may have no row by distance
                const double ds = head.bend(i, int64_t(j)) * p[j] * (dp[j] - mean);
                for (size_t n = 0; n < size; ++n) {
                    dq[n] += ds * double(to_compute(head.k(int64_t(j))[n]));
                    dk[j][n] += ds * double(to_compute(a.q.row(i, b, h)[n]));
                    dv[j][n] += p[j] * double(to_compute(args.d_out.row(i, b, h)[n]));
                }
                const int64_t c = head.distance_row(i, int64_t(j));
                d_key_bias[j] += p[j] * (dp[j] - mean);
                if (a.distance_bias) d_distance_bias[size_t(c)] += p[j] * (dp[j] - mean);
                for (size_t n = 0; a.distance_q.data && n < size; ++n) {
                    distance_dq[n] += ds * double(to_compute(a.distance_r.row(c, b, h)[n]));
                    dr[size_t(c)][n] += ds * double(to_compute(a.distance_q.row(i, b, h)[n]));
                }
            }
            write(dq, args.dq.row(i, b, h));
            if (a.distance_q.data) write(distance_dq, args.distance_dq.row(i, b, h));
        }
        for (size_t c = 0; a.distance_q.data && c < keys; ++c)
            for (size_t n = 0; n < size; ++n)
                args.distance_dr[(size_t(task) * keys + c) * size + n] = Compute<S>(dr[c][n]);
        if (a.key_bias) write(d_key_bias, args.d_key_bias + task * a.mask.keys);
        if (a.distance_bias) write(d_distance_bias, args.d_distance_bias + task * a.mask.keys);
        for (int64_t j = 0; j < a.mask.keys; ++j) {
            if (j < a.memory && !args.memory_dk.data) continue;
            if (a.v.data) write(dv[size_t(j)], head.at(args.dv, args.memory_dv, j));
            else
                for (size_t n = 0; n < size; ++n) dk[size_t(j)][n] += dv[size_t(j)][n];
            write(dk[size_t(j)], head.at(args.dk, args.memory_dk, j));
        }
    }
}

#define LITHE_INSTANTIATE(S)                                            \
    template void attention_forward_ref<S>(const AttentionForward<S>&); \
    template void attention_backward_ref<S>(const AttentionBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

#include <cmath>
#include <vector>

#include "lithe/kernels/short_convolution/short_convolution.h"

namespace lithe::kernels {
namespace {

// One column (row b, unit e) as a list of the tokens that it has seen, carried ones first, and their gradients.
template <class S> struct Column {
    using C = Compute<S>;
    struct Token {
        C value = 0, gradient = 0;
        int64_t step = -1;  // -1: carried
    };
    const ShortConvolutionForward<S>& a;
    int64_t b, e;
    std::vector<Token> tokens = {};
    std::vector<std::vector<size_t>> seen = {};  // of every step: which tokens it sees, its own first
    std::vector<size_t> left = {};               // the same of a step that would follow

    int64_t at(int64_t t) const { return (t * a.shape.batch + b) * a.shape.width + e; }
    C w(size_t j) const { return a.w[(a.shape.taps - 1 - int64_t(j)) * a.shape.width + e]; }

    void walk() {
        const size_t taps = size_t(a.shape.taps);
        for (size_t i = 0; i + 1 < taps; ++i)
            tokens.push_back({.value = a.before ? to_compute(a.before[at(int64_t(i))]) : C(0)});
        size_t first = 0;  // of the document
        const auto newest = [&](size_t most) {
            std::vector<size_t> list;
            for (size_t i = tokens.size(); i > first && list.size() < most; --i) list.push_back(i - 1);
            return list;
        };
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            const uint8_t flags = a.flags ? a.flags[t * a.shape.batch + b] : 0;
            if (flags & kDocumentBegins) first = tokens.size();
            if (!(flags & kPadding)) tokens.push_back({.value = to_compute(a.x[at(t)]), .step = t});
            seen.push_back(flags & kPadding ? std::vector<size_t>() : newest(taps));
        }
        left = newest(taps - 1);
    }
    C sum(const std::vector<size_t>& list) const {
        C z = a.bias ? a.bias[e] : C(0);
        for (size_t j = 0; j < list.size(); ++j) z += w(j) * tokens[list[j]].value;
        return z;
    }
};

template <class S, class F> void for_each_column(const ShortConvolutionForward<S>& args, const F& work) {
    for (int64_t b = 0; b < args.shape.batch; ++b)
        for (int64_t e = 0; e < args.shape.width; ++e) {
            Column<S> column{args, b, e};
            column.walk();
            work(column);
        }
}

template <class C> C sigmoid(C x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

template <class S> void short_convolution_forward_ref(const ShortConvolutionForward<S>& a) {
    using C = Compute<S>;
    for_each_column(a, [&](const Column<S>& column) {
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            const auto& list = column.seen[size_t(t)];
            const C z = list.empty() ? C(0) : column.sum(list);
            from_compute(a.shape.silu ? z * sigmoid(z) : z, a.y[column.at(t)]);
        }
        for (size_t j = 0; j + 1 < size_t(a.shape.taps); ++j) {
            const C value = j < column.left.size() ? column.tokens[column.left[j]].value : C(0);
            from_compute(value, a.last[column.at(a.shape.taps - 2 - int64_t(j))]);
        }
    });
}

template <class S> void short_convolution_backward_ref(const ShortConvolutionBackward<S>& args) {
    using C = Compute<S>;
    const ShortConvolutionForward<S>& a = args.forward;
    const int64_t taps = a.shape.taps;
    for (int64_t i = 0; i < (taps + 1) * a.shape.width; ++i) args.dw[i] = 0;
    for_each_column(a, [&](Column<S>& column) {
        const auto dw = [&](int64_t row) -> C& { return args.dw[row * a.shape.width + column.e]; };
        for (size_t j = 0; args.dlast && j < column.left.size(); ++j)
            column.tokens[column.left[j]].gradient += to_compute(args.dlast[column.at(taps - 2 - int64_t(j))]);
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            const auto& list = column.seen[size_t(t)];
            from_compute(C(0), args.dx[column.at(t)]);
            if (list.empty()) continue;
            const C z = column.sum(list), s = sigmoid(z);
            const C dz = to_compute(args.dy[column.at(t)]) * (a.shape.silu ? s * (1 + z * (1 - s)) : C(1));
            dw(taps) += dz;
            for (size_t j = 0; j < list.size(); ++j) {
                dw(taps - 1 - int64_t(j)) += dz * column.tokens[list[j]].value;
                column.tokens[list[j]].gradient += dz * column.w(j);
            }
        }
        for (size_t i = 0; i < column.tokens.size(); ++i) {
            const auto& token = column.tokens[i];
            if (token.step >= 0) from_compute(token.gradient, args.dx[column.at(token.step)]);
            else if (args.dbefore) from_compute(token.gradient, args.dbefore[column.at(int64_t(i))]);
        }
    });
}

#define LITHE_INSTANTIATE(S)                                                           \
    template void short_convolution_forward_ref<S>(const ShortConvolutionForward<S>&); \
    template void short_convolution_backward_ref<S>(const ShortConvolutionBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

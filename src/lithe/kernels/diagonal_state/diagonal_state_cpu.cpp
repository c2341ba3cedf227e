// Compiled once per instruction set. A task walks a row's time in chunks, whose inputs lie in the first-level cache.
// For a vector of channels some states at a time stay in registers over the whole chunk: there is one chain of
// additions for each of them, and no state is written between steps.
#include <algorithm>

#include "lithe/kernels/diagonal_state/diagonal_state_block.h"
#include "lithe/kernels/simd/vec.h"

#define LITHE_CELL inline __attribute__((always_inline))
#include "lithe/kernels/diagonal_state/diagonal_number.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

constexpr int kForwardStates = kLanes >= 16 ? 4 : 2, kBackwardStates = 2;

// The steps of a chunk that are no padding, one after the other, in runs of one document.
struct Chunk {
    int64_t count = 0, runs = 0;
    int64_t time[kDiagonalChunk];
    int64_t begin[kDiagonalChunk + 1];  // of each run; then the end of the last
    bool anew[kDiagonalChunk];          // whether a document begins with the run
    bool ends_anew = false;             // or behind the last

    Chunk(const uint8_t* flags, const DiagonalShape& shape, int64_t b, int64_t number) {
        const int64_t end = std::min((number + 1) * kDiagonalChunk, shape.steps);
        for (int64_t t = number * kDiagonalChunk; t < end; ++t) {
            const uint8_t flag = flags ? flags[t * shape.batch + b] : uint8_t(0);
            if (flag & kDocumentBegins) ends_anew = true;
            if (flag & kPadding) continue;
            if (count == 0 || ends_anew) {
                begin[runs] = count;
                anew[runs++] = ends_anew;
                ends_anew = false;
            }
            time[count++] = t;
        }
        begin[runs] = count;
    }
};

// x, y or a gradient of a chunk, [inputs][steps][columns].
template <class S, DiagonalForm kForm> struct Rows {
    using C = Compute<S>;
    alignas(64) C values[kInputs<kForm>][kDiagonalChunk][kDiagonalBlock] = {};

    void gather(const S* from, const DiagonalShape& shape, const DiagonalBlock& k, int64_t b, const Chunk& chunk) {
        for (int64_t t = 0; t < chunk.count; ++t)
            for (int plane = 0; plane < kInputs<kForm>; ++plane) {
                const S* row = from + (chunk.time[t] * shape.batch + b) * shape.row_numbers() + plane * shape.width;
                C* to = values[plane][t];
                for_each_vector(k.count, [&](int64_t i, auto part) { store(to + i, part.get(row + k.first + i)); });
            }
    }
    // Padded steps of the chunk get 0.
    void scatter(S* to, const DiagonalShape& shape, const DiagonalBlock& k, int64_t b, const Chunk& chunk,
                 int64_t number) const {
        const int64_t end = std::min((number + 1) * kDiagonalChunk, shape.steps);
        int64_t step = 0;
        for (int64_t t = number * kDiagonalChunk; t < end; ++t) {
            const bool there = step < chunk.count && chunk.time[step] == t;
            for (int plane = 0; plane < kInputs<kForm>; ++plane) {
                S* row = to + (t * shape.batch + b) * shape.row_numbers() + plane * shape.width;
                const C* from = values[plane][there ? step : 0];
                for_each_vector(k.count, [&](int64_t i, auto part) {
                    part.put(row + k.first + i, there ? load(from + i) : Vec<C>{});
                });
            }
            step += there;
        }
    }
};

// A vector of columns of one row: reads and writes what is laid out as states are.
template <class S, DiagonalForm kForm, class P> struct Columns {
    using C = Compute<S>;
    using V = Vec<C>;
    using N = Number<V, kParts<kForm>>;
    const DiagonalShape& shape;
    int64_t column, i;  // of all, of the block
    P part;

    int64_t at(int plane, int64_t n) const { return (plane * shape.states + n) * shape.width + column; }
    N get(const C* all, int64_t n) const {
        N number;
        for (int plane = 0; plane < kParts<kForm>; ++plane) number.part[plane] = part.get(all + at(plane, n));
        return number;
    }
    void put(C* all, int64_t n, const N& number) const {
        for (int plane = 0; plane < kParts<kForm>; ++plane) part.put(all + at(plane, n), number.part[plane]);
    }
    static V imaginary(const Rows<S, kForm>& rows, int64_t t, int64_t i) {
        if constexpr (kForm == DiagonalForm::pairs) return load(&rows.values[1][t][i]);
        else return V{};
    }

    // kStates of them, from number n, over a chunk; y adds up.
    template <int kStates>
    void forward(const DiagonalForward<S>& args, const Chunk& chunk, int64_t n, C* state, const Rows<S, kForm>& x,
                 Rows<S, kForm>& y) const {
        N a[kStates], c[kStates], s[kStates];
        for (int k = 0; k < kStates; ++k) {
            a[k] = get(args.a, n + k);
            if constexpr (kForm != DiagonalForm::pairs) c[k] = get(args.c, n + k);
            s[k] = get(state, n + k);
        }
        for (int64_t run = 0; run < chunk.runs; ++run) {
            if (chunk.anew[run])
                for (N& each : s) each = {};
            for (int64_t t = chunk.begin[run]; t < chunk.begin[run + 1]; ++t) {
                const V re = load(&x.values[0][t][i]), im = imaginary(x, t, i);
                for (int k = 0; k < kStates; ++k) s[k] = s[k].after(a[k], re, im);
                if constexpr (kForm == DiagonalForm::pairs) {
                    store(&y.values[0][t][i], s[0].part[0]);
                    store(&y.values[1][t][i], s[0].part[1]);
                } else {
                    V sum = n == 0 ? V{} : load(&y.values[0][t][i]);
                    for (int k = 0; k < kStates; ++k) sum += s[k].read(c[k]);
                    store(&y.values[0][t][i], sum);
                }
            }
        }
        for (int k = 0; k < kStates; ++k) put(state, n + k, chunk.ends_anew ? N{} : s[k]);
    }

    // The same, backwards: what a chunk's states add to the sums of a and c (`dac`), to dx, and to ds.
    template <int kStates>
    void backward(const DiagonalForward<S>& args, const Chunk& chunk, int64_t n, const C* kept, C* ds, C* dac,
                  const Rows<S, kForm>& x, const Rows<S, kForm>& dy, Rows<S, kForm>& dx) const {
        N a[kStates], c[kStates], da[kStates], dc[kStates], s[kStates], before[kDiagonalChunk][kStates];
        C* of_c = dac + shape.state_numbers();
        for (int k = 0; k < kStates; ++k) {
            a[k] = get(args.a, n + k);
            s[k] = get(kept, n + k);
            da[k] = get(dac, n + k);
            if constexpr (kForm != DiagonalForm::pairs) {
                c[k] = get(args.c, n + k);
                dc[k] = get(of_c, n + k);
            }
        }
        for (int64_t run = 0; run < chunk.runs; ++run) {
            if (chunk.anew[run])
                for (N& each : s) each = {};
            for (int64_t t = chunk.begin[run]; t < chunk.begin[run + 1]; ++t) {
                const V re = load(&x.values[0][t][i]), im = imaginary(x, t, i), slope = load(&dy.values[0][t][i]);
                for (int k = 0; k < kStates; ++k) {
                    before[t][k] = s[k];
                    s[k] = s[k].after(a[k], re, im);
                    if constexpr (kForm != DiagonalForm::pairs) dc[k].add(slope, s[k]);
                }
            }
        }
        for (int k = 0; k < kStates; ++k) s[k] = chunk.ends_anew ? N{} : get(ds, n + k);  // from here on, its gradient
        for (int64_t run = chunk.runs - 1; run >= 0; --run) {
            for (int64_t t = chunk.begin[run + 1] - 1; t >= chunk.begin[run]; --t) {
                const V re = load(&dy.values[0][t][i]), im = imaginary(dy, t, i);
                V sum = n == 0 ? V{} : load(&dx.values[0][t][i]);
                for (int k = 0; k < kStates; ++k) {
                    if constexpr (kForm == DiagonalForm::pairs) {
                        s[k].part[0] += re;
                        s[k].part[1] += im;
                        store(&dx.values[1][t][i], s[k].part[1]);
                    } else {
                        s[k].add(re, c[k]);
                    }
                    sum += s[k].part[0];
                    da[k].add(s[k].back(before[t][k]));
                    s[k] = s[k].back(a[k]);
                }
                store(&dx.values[0][t][i], sum);
            }
            if (chunk.anew[run])
                for (N& each : s) each = {};
        }
        for (int k = 0; k < kStates; ++k) {
            put(ds, n + k, s[k]);
            put(dac, n + k, da[k]);
            if constexpr (kForm != DiagonalForm::pairs) put(of_c, n + k, dc[k]);
        }
    }
};

// Calls use(states at a time, first of them) until all are done.
template <int kTogether, class F> void for_each_states(int64_t states, const F& use) {
    int64_t n = 0;
    for (; n + kTogether <= states; n += kTogether) use(std::integral_constant<int, kTogether>(), n);
    for (; n < states; ++n) use(std::integral_constant<int, 1>(), n);
}

// Columns of a block in what is laid out as states are; from null come zeros.
template <class C> void copy_states(const C* from, C* to, int64_t planes, int64_t width, const DiagonalBlock& k) {
    for (int64_t plane = 0; plane < planes; ++plane) {
        C* row = to + plane * width + k.first;
        if (from) __builtin_memcpy(row, from + plane * width + k.first, size_t(k.count) * sizeof(C));
        else __builtin_memset(row, 0, size_t(k.count) * sizeof(C));
    }
}

template <class S, DiagonalForm kForm> void forward(const DiagonalForward<S>& a, const DiagonalBlock& k) {
    const DiagonalShape& shape = a.shape;
    const int64_t numbers = shape.state_numbers(), planes = kParts<kForm> * shape.states;
    Rows<S, kForm> x, y;
    for (int64_t b = k.row; b < k.row + k.rows; ++b) {
        Compute<S>* state = a.s_last + b * numbers;
        copy_states(a.s0 ? a.s0 + b * numbers : nullptr, state, planes, shape.width, k);
        for (int64_t number = 0; number < shape.chunks(); ++number) {
            const Chunk chunk(a.flags, shape, b, number);
            if (a.kept)
                copy_states<Compute<S>>(state, a.kept + (number * shape.batch + b) * numbers, planes, shape.width, k);
            x.gather(a.x, shape, k, b, chunk);
            for_each_vector(k.count, [&](int64_t i, auto part) {
                const Columns<S, kForm, decltype(part)> columns{shape, k.first + i, i, part};
                for_each_states<kForwardStates>(shape.states, [&](auto together, int64_t n) {
                    columns.template forward<together()>(a, chunk, n, state, x, y);
                });
            });
            y.scatter(a.y, shape, k, b, chunk, number);
        }
    }
}

template <class S, DiagonalForm kForm> void backward(const DiagonalBackward<S>& args, const DiagonalBlock& k) {
    using C = Compute<S>;
    const DiagonalForward<S>& a = args.forward;
    const DiagonalShape& shape = a.shape;
    const int64_t numbers = shape.state_numbers(), planes = kParts<kForm> * shape.states;
    C* dac = args.partial + k.row / kDiagonalRows * 2 * numbers;
    copy_states<C>(nullptr, dac, 2 * planes, shape.width, k);
    Rows<S, kForm> x, dy, dx;
    for (int64_t b = k.row; b < k.row + k.rows; ++b) {
        C* ds = args.ds0 + b * numbers;
        copy_states(args.ds_last ? args.ds_last + b * numbers : nullptr, ds, planes, shape.width, k);
        for (int64_t number = shape.chunks() - 1; number >= 0; --number) {
            const Chunk chunk(a.flags, shape, b, number);
            const C* kept = a.kept + (number * shape.batch + b) * numbers;
            x.gather(a.x, shape, k, b, chunk);
            dy.gather(args.dy, shape, k, b, chunk);
            for_each_vector(k.count, [&](int64_t i, auto part) {
                const Columns<S, kForm, decltype(part)> columns{shape, k.first + i, i, part};
                for_each_states<kBackwardStates>(shape.states, [&](auto together, int64_t n) {
                    columns.template backward<together()>(a, chunk, n, kept, ds, dac, x, dy, dx);
                });
            });
            dx.scatter(args.dx, shape, k, b, chunk, number);
        }
    }
}

template <class F> void with_form(DiagonalForm form, const F& f) {
    switch (form) {
        case DiagonalForm::real: return f(std::integral_constant<DiagonalForm, DiagonalForm::real>());
        case DiagonalForm::complex: return f(std::integral_constant<DiagonalForm, DiagonalForm::complex>());
        case DiagonalForm::pairs: return f(std::integral_constant<DiagonalForm, DiagonalForm::pairs>());
    }
}

}  // namespace

template <class S> void diagonal_forward_block(const DiagonalForward<S>& args, const DiagonalBlock& block) {
    with_form(args.shape.form, [&](auto form) { forward<S, form()>(args, block); });
}

template <class S> void diagonal_backward_block(const DiagonalBackward<S>& args, const DiagonalBlock& block) {
    with_form(args.forward.shape.form, [&](auto form) { backward<S, form()>(args, block); });
}

#define LITHE_INSTANTIATE(S)                                                                  \
    template void diagonal_forward_block<S>(const DiagonalForward<S>&, const DiagonalBlock&); \
    template void diagonal_backward_block<S>(const DiagonalBackward<S>&, const DiagonalBlock&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA

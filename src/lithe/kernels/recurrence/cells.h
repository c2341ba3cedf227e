// One step of every cell (formulas: recurrence.h), on vectors of numbers or, on a GPU, on numbers. Included where
// LITHE_ISA names the namespace, LITHE_CELL what stands before a function, and where these functions are: sigmoid,
// tanh, exponential, root, smaller(a, b), and one_minus_exp(x, e) = 1 - e for e = exp(x), x <= 0.
//
// A cell reads by `in`: u(plane), x(), w(number), masked(v) = v m, alpha(), begins() (rg_lru's first step).
//   step   what c_{t-1} becomes: {c_t, h_t}
//   back   from c_{t-1}, c_t and the gradients of c_t (by what follows) and h_t: the gradient of c_{t-1}; what else has
//          one goes to `out`: du(plane, v), dx(v), dw(number, v), the last summed over time and rows

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class V> struct Step { V c, h; };

template <bool kTanh, class V> LITHE_CELL V maybe_tanh(V c) {
    if constexpr (kTanh) return tanh(c);
    else return c;
}

// The skip input's three forms.
enum class Skip { none, x, plane };

template <Skip kSkip, bool kTanh> struct SruCell {
    static constexpr int kPlanes = kSkip == Skip::plane ? 4 : 3, kWeights = 4;
    static constexpr bool kReadsX = kSkip == Skip::x;

    template <class V, class In> static LITHE_CELL V skip(const In& in) {
        if constexpr (kSkip == Skip::plane) return in.u(3);
        else if constexpr (kSkip == Skip::x) return in.x() * in.alpha();
        else return V{};
    }
    template <class V, class In> static LITHE_CELL Step<V> step(const In& in, V c) {
        const V u0 = in.u(0);
        const V f = sigmoid(in.u(1) + in.w(0) * c + in.w(2));
        const V r = in.masked(sigmoid(in.u(2) + in.w(1) * c + in.w(3)));
        c = u0 + (c - u0) * f;
        const V g = maybe_tanh<kTanh>(c);
        if constexpr (kSkip == Skip::none) return {c, g * r};
        const V x = skip<V>(in);
        return {c, x + (g - x) * r};
    }
    template <class V, class In, class Out>
    static LITHE_CELL V back(const In& in, const Out& out, V before, V c, V dc, V dh) {
        const V u0 = in.u(0), v_f = in.w(0), v_r = in.w(1);
        const V f = sigmoid(in.u(1) + v_f * before + in.w(2));
        const V r = sigmoid(in.u(2) + v_r * before + in.w(3));
        const V g = maybe_tanh<kTanh>(c);
        const V slope = kTanh ? 1 - g * g : 1 - V{};
        const V m_r = in.masked(r);
        const V x = skip<V>(in);
        const V delta_r = dh * (g - x) * m_r * (1 - r);
        const V delta_c = dc + dh * m_r * slope;
        const V delta_f = delta_c * (before - u0) * f * (1 - f);
        out.du(0, delta_c * (1 - f));
        out.du(1, delta_f);
        out.du(2, delta_r);
        if constexpr (kSkip == Skip::plane) out.du(3, dh * (1 - m_r));
        if constexpr (kSkip == Skip::x) out.dx(dh * (1 - m_r) * in.alpha());
        out.dw(0, delta_f * before);
        out.dw(1, delta_r * before);
        out.dw(2, delta_f);
        out.dw(3, delta_r);
        return delta_c * f + delta_f * v_f + delta_r * v_r;
    }
};

// Of minGRU and minLSTM: positive, so that states are.
template <class V> struct Candidate {
    V value, slope;
    LITHE_CELL explicit Candidate(V v) {
        const V s = sigmoid(v);
        value = v >= 0 ? v + V(V{} + 0.5f) : s;
        slope = v >= 0 ? V(V{} + 1) : s * (1 - s);
    }
};

struct MinGruCell {
    static constexpr int kPlanes = 2, kWeights = 0;
    static constexpr bool kReadsX = false;

    template <class V, class In> static LITHE_CELL Step<V> step(const In& in, V c) {
        const V z = sigmoid(in.u(1));
        c = c + z * (Candidate<V>(in.u(0)).value - c);
        return {c, c};
    }
    template <class V, class In, class Out>
    static LITHE_CELL V back(const In& in, const Out& out, V before, V, V dc, V dh) {
        const V z = sigmoid(in.u(1));
        const Candidate<V> g(in.u(0));
        const V delta = dc + dh;
        out.du(0, delta * z * g.slope);
        out.du(1, delta * (g.value - before) * z * (1 - z));
        return delta * (1 - z);
    }
};

struct MinLstmCell {
    static constexpr int kPlanes = 3, kWeights = 0;
    static constexpr bool kReadsX = false;

    template <class V, class In> static LITHE_CELL Step<V> step(const In& in, V c) {
        const V f = sigmoid(in.u(1)), i = sigmoid(in.u(2)), g = Candidate<V>(in.u(0)).value;
        c = g + f / (f + i) * (c - g);
        return {c, c};
    }
    template <class V, class In, class Out>
    static LITHE_CELL V back(const In& in, const Out& out, V before, V, V dc, V dh) {
        const V f = sigmoid(in.u(1)), i = sigmoid(in.u(2)), part = 1 / (f + i), keep = f * part, admit = i * part;
        const Candidate<V> g(in.u(0));
        const V delta = dc + dh;
        const V delta_keep = delta * (before - g.value) * keep * admit;  // d keep = keep admit (df / f - di / i)
        out.du(0, delta * admit * g.slope);
        out.du(1, delta_keep * (1 - f));
        out.du(2, -delta_keep * (1 - i));
        return delta * keep;
    }
};

template <bool kTanh> struct LrnCell {
    static constexpr int kPlanes = 3, kWeights = 3;
    static constexpr bool kReadsX = false;

    template <class V, class In> static LITHE_CELL Step<V> step(const In& in, V c) {
        const V i = sigmoid(in.u(0) + in.w(0) + c), f = sigmoid(in.u(1) + in.w(1) - c);
        c = maybe_tanh<kTanh>(i * (in.u(2) + in.w(2)) + f * c);
        return {c, c};
    }
    template <class V, class In, class Out>
    static LITHE_CELL V back(const In& in, const Out& out, V before, V c, V dc, V dh) {
        const V i = sigmoid(in.u(0) + in.w(0) + before), f = sigmoid(in.u(1) + in.w(1) - before);
        const V r = in.u(2) + in.w(2);
        const V delta = kTanh ? (dc + dh) * (1 - c * c) : dc + dh;
        const V delta_i = delta * r * i * (1 - i), delta_f = delta * before * f * (1 - f), delta_r = delta * i;
        out.du(0, delta_i);
        out.du(1, delta_f);
        out.du(2, delta_r);
        out.dw(0, delta_i);
        out.dw(1, delta_f);
        out.dw(2, delta_r);
        return delta * f + delta_i - delta_f;
    }
};

struct SsruCell {
    static constexpr int kPlanes = 2, kWeights = 1;
    static constexpr bool kReadsX = false;

    template <class V, class In> static LITHE_CELL Step<V> step(const In& in, V c) {
        const V v = in.u(0), f = sigmoid(in.u(1) + in.w(0));
        c = v + f * (c - v);
        return {c, c > 0 ? c : V{}};
    }
    template <class V, class In, class Out>
    static LITHE_CELL V back(const In& in, const Out& out, V before, V c, V dc, V dh) {
        const V v = in.u(0), f = sigmoid(in.u(1) + in.w(0));
        const V delta = dc + (c > 0 ? dh : V{});
        const V delta_f = delta * (before - v) * f * (1 - f);
        out.du(0, delta * (1 - f));
        out.du(1, delta_f);
        out.dw(0, delta_f);
        return delta * f;
    }
};

struct RgLruCell {
    static constexpr int kPlanes = 2, kWeights = 3;
    static constexpr bool kReadsX = true;

    template <class V, class In> static LITHE_CELL Step<V> step(const In& in, V c) {
        const V r = sigmoid(in.u(0) + in.w(1)), i = sigmoid(in.u(1) + in.w(2));
        const V log_a = in.w(0) * r, a = exponential(log_a);
        const V scale = in.begins() ? V(V{} + 1) : root(one_minus_exp(V(2 * log_a), V(a * a)));
        c = a * c + scale * i * in.x();
        return {c, c};
    }
    template <class V, class In, class Out>
    static LITHE_CELL V back(const In& in, const Out& out, V before, V, V dc, V dh) {
        const V rate = in.w(0), r = sigmoid(in.u(0) + in.w(1)), i = sigmoid(in.u(1) + in.w(2)), x = in.x();
        const V log_a = rate * r, a = exponential(log_a), square = a * a;
        const V delta = dc + dh;
        V scale = V{} + 1, slope = V{};  // of the scale, by log a
        if (!in.begins()) {
            scale = root(one_minus_exp(V(2 * log_a), square));
            slope = -square * smaller(V(1 / scale), V(V{} + 2000));  // of the root at most 1000
        }
        const V delta_a = delta * (a * before + slope * i * x);
        const V delta_r = delta_a * rate * r * (1 - r), delta_i = delta * scale * x * i * (1 - i);
        out.du(0, delta_r);
        out.du(1, delta_i);
        out.dx(delta * scale * i);
        out.dw(0, delta_a * r);
        out.dw(1, delta_r);
        out.dw(2, delta_i);
        return delta * a;
    }
};

enum class Pool { f, fo, ifo };

template <Pool kPool, bool kAdmits> struct QrnnCell {
    static constexpr int kPlanes = kPool == Pool::f ? 2 : kPool == Pool::fo ? 3 : 4, kWeights = kPlanes;
    static constexpr bool kReadsX = false;

    template <class V, class In> static LITHE_CELL V keep(const In& in, V gate) {
        if constexpr (kAdmits) return 1 - in.alpha() * gate;
        else return gate;
    }
    template <class V, class In> static LITHE_CELL Step<V> step(const In& in, V c) {
        const V z = tanh(in.u(0) + in.w(0)), f = keep<V>(in, sigmoid(in.u(1) + in.w(1)));
        if constexpr (kPool == Pool::ifo) c = f * c + sigmoid(in.u(3) + in.w(3)) * z;
        else c = z + f * (c - z);
        if constexpr (kPool == Pool::f) return {c, c};
        else return {c, sigmoid(in.u(2) + in.w(2)) * c};
    }
    template <class V, class In, class Out>
    static LITHE_CELL V back(const In& in, const Out& out, V before, V c, V dc, V dh) {
        const V z = tanh(in.u(0) + in.w(0)), gate = sigmoid(in.u(1) + in.w(1)), f = keep<V>(in, gate);
        V delta = dc + dh;
        if constexpr (kPool != Pool::f) {
            const V o = sigmoid(in.u(2) + in.w(2)), delta_o = dh * c * o * (1 - o);
            delta = dc + dh * o;
            out.du(2, delta_o);
            out.dw(2, delta_o);
        }
        V admit = 1 - f, delta_f = delta * (before - z);
        if constexpr (kPool == Pool::ifo) {
            admit = sigmoid(in.u(3) + in.w(3));
            delta_f = delta * before;
            const V delta_i = delta * z * admit * (1 - admit);
            out.du(3, delta_i);
            out.dw(3, delta_i);
        }
        const V delta_gate = (kAdmits ? -in.alpha() * delta_f : delta_f) * gate * (1 - gate);
        const V delta_z = delta * admit * (1 - z * z);
        out.du(0, delta_z);
        out.du(1, delta_gate);
        out.dw(0, delta_z);
        out.dw(1, delta_gate);
        return delta * f;
    }
};

// Calls f with the struct of a cell.
template <class F> void with_cell(Cell cell, const F& f) {
    switch (cell) {
        case Cell::sru: return f(SruCell<Skip::x, false>());
        case Cell::sru_tanh: return f(SruCell<Skip::x, true>());
        case Cell::sru_projected: return f(SruCell<Skip::plane, false>());
        case Cell::sru_projected_tanh: return f(SruCell<Skip::plane, true>());
        case Cell::sru_bare: return f(SruCell<Skip::none, false>());
        case Cell::sru_bare_tanh: return f(SruCell<Skip::none, true>());
        case Cell::min_gru: return f(MinGruCell());
        case Cell::min_lstm: return f(MinLstmCell());
        case Cell::lrn: return f(LrnCell<true>());
        case Cell::lrn_linear: return f(LrnCell<false>());
        case Cell::ssru: return f(SsruCell());
        case Cell::rg_lru: return f(RgLruCell());
        case Cell::qrnn_f: return f(QrnnCell<Pool::f, false>());
        case Cell::qrnn_fo: return f(QrnnCell<Pool::fo, false>());
        case Cell::qrnn_ifo: return f(QrnnCell<Pool::ifo, false>());
        case Cell::qrnn_admit_f: return f(QrnnCell<Pool::f, true>());
        case Cell::qrnn_admit_fo: return f(QrnnCell<Pool::fo, true>());
    }
}

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA

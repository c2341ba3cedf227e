// Parity and speed of the matrix_state kernel.
#include <memory>

#include "lithe/kernels/matrix_state/matrix_state.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct MatrixStateBuffers {
    using C = Compute<S>;
    MatrixStateShape shape;
    bool gated;  // decays are powers of sigmoids
    int64_t rows, states, per_decay;
    TestBuffer<S> q, k, v, gates, out, d_out, dq, dk, dv, d_gates;
    TestBuffer<C> g, dg, start, last, kept, d_last, d_start;
    std::vector<uint8_t> flags;

    MatrixStateBuffers(const MatrixStateShape& s, double strongest, bool by_gates = false)
        : shape(s),
          gated(by_gates),
          rows(s.steps * s.batch * s.heads),
          states(s.batch * s.heads),
          per_decay(s.decay == StateDecay::channel ? s.key : 1),
          q(rows * s.key, 0.37, 0.1, 0.7),
          k(rows * s.key, 0.53, 0.7, 0.6),
          v(rows * s.value, 0.91, 0.3, 0.8),
          gates(rows * per_decay, 0.61, 0.3, 20 * strongest),
          out(rows * s.value),
          d_out(rows * s.value, 0.3, 1.57, 0.5),
          dq(rows * s.key),
          dk(rows * s.key),
          dv(rows * s.value),
          d_gates(rows * per_decay),
          g(rows * per_decay, 0.71, 0.4, strongest),
          dg(rows * per_decay),
          start(states * s.state(), 0.77, 0.2, 0.6),
          last(states * s.state()),
          kept(states * state_blocks(s.steps) * s.state()),
          d_last(states * s.state(), 0.5, 0.2, 0.4),
          d_start(states * s.state()),
          flags(size_t(s.steps * s.batch)) {
        for (int64_t i = 0; i < g.size(); ++i) g.data()[i] = -std::abs(g.data()[i]);
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 17 == 3    ? kPadding
                       : i % 41 == 5  ? kDocumentBegins
                       : i % 83 == 12 ? kPadding | kDocumentBegins
                                      : 0;
    }
    template <class T, class U> HeadRows<T> by_head(TestBuffer<U>& buffer, int64_t size) const {
        return {buffer.data(), shape.batch * shape.heads * size, shape.heads * size, size};
    }
    MatrixStateForward<S> forward(bool extras) {
        return {.shape = shape,
                .scale = C(0.3),
                .q = by_head<const S>(q, shape.key),
                .k = by_head<const S>(k, shape.key),
                .v = by_head<const S>(v, shape.value),
                .g = gated ? HeadRows<const C>() : by_head<const C>(g, per_decay),
                .gates = gated ? by_head<const S>(gates, per_decay) : HeadRows<const S>(),
                .temperature = C(4),
                .flags = extras ? flags.data() : nullptr,
                .start = extras ? start.data() : nullptr,
                .out = by_head<S>(out, shape.value),
                .last = last.data(),
                .kept = kept.data()};
    }
    MatrixStateBackward<S> backward(bool extras) {
        MatrixStateBackward<S> args{.forward = forward(extras),
                                    .d_out = by_head<const S>(d_out, shape.value),
                                    .d_last = extras ? d_last.data() : nullptr,
                                    .dq = by_head<S>(dq, shape.key),
                                    .dk = by_head<S>(dk, shape.key),
                                    .dv = by_head<S>(dv, shape.value),
                                    .d_start = d_start.data()};
        if (gated) args.d_gates = by_head<S>(d_gates, per_decay);
        else if (shape.decay != StateDecay::none) args.dg = by_head<C>(dg, per_decay);
        return args;
    }
};

const char* decay_name(StateDecay decay) {
    return decay == StateDecay::none ? "no decay" : decay == StateDecay::head ? "by head" : "by channel";
}

template <class S>
void matrix_state_case(ParityResult& result, const MatrixStateShape& shape, double strongest, bool extras,
                       bool gated = false) {
    MatrixStateBuffers<S> got(shape, strongest, gated), expected(shape, strongest, gated);
    matrix_state_forward(got.forward(extras));
    matrix_state_forward_ref(expected.forward(extras));
    matrix_state_backward(got.backward(extras));
    matrix_state_backward_ref(expected.backward(extras));
    const double tolerance = storage_tolerance<S>();
    const std::string what = std::string("matrix_state ") + storage_name<S>() + " " + std::to_string(shape.steps) +
                             " x " + std::to_string(shape.key) + " x " + std::to_string(shape.value) + " " +
                             decay_name(shape.decay) + " " + std::to_string(strongest) + (extras ? " masks" : "") +
                             (gated ? " gates" : "");
    compare(result, got.out, expected.out, tolerance, what + " out", 2);
    compare(result, got.last, expected.last, tolerance, what + " last");
    compare(result, got.kept, expected.kept, tolerance, what + " kept");
    compare(result, got.dq, expected.dq, tolerance, what + " dq", 2);
    compare(result, got.dk, expected.dk, tolerance, what + " dk", 2);
    compare(result, got.dv, expected.dv, tolerance, what + " dv", 2);
    if (gated) compare(result, got.d_gates, expected.d_gates, tolerance, what + " d_gates", 10);
    else if (shape.decay != StateDecay::none) compare(result, got.dg, expected.dg, tolerance, what + " dg", 10);
    compare(result, got.d_start, expected.d_start, tolerance, what + " d_start", 2);
}

ParityResult matrix_state_parity(int64_t size) {
    ParityResult result;
    constexpr double kMild = 0.2, kStrong = 9, kStrongest = 120;  // the last loses all in a step, and more than exp has
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        for (StateDecay decay : {StateDecay::none, StateDecay::head, StateDecay::channel}) {
            const MatrixStateShape by_steps{
                .steps = size, .batch = 2, .heads = 1, .key = 18, .value = 21, .decay = decay};
            for (double strongest : {kMild, kStrong, kStrongest})
                if (decay != StateDecay::none || strongest == kMild)
                    for (bool extras : {false, true}) matrix_state_case<S>(result, by_steps, strongest, extras);
            if (decay != StateDecay::none) matrix_state_case<S>(result, by_steps, kMild, true, true);
            if (size == 0) continue;
            matrix_state_case<S>(result, {.steps = 37, .batch = 1, .heads = 2, .key = size, .value = 5, .decay = decay},
                                 kMild, true);
            matrix_state_case<S>(result, {.steps = 70, .batch = 1, .heads = 2, .key = 3, .value = size, .decay = decay},
                                 kMild, true);
        }
    });
    return result;
}

template <class S> void add_matrix_state_benchmarks(std::vector<BenchmarkCase>& list, const MatrixStateShape& shape) {
    auto buffers = std::make_shared<MatrixStateBuffers<S>>(shape, 0.1);
    matrix_state_forward(buffers->forward(false));
    const double moved = double(buffers->rows) * double(2 * (shape.key + shape.value)) * sizeof(S) +
                         double(buffers->g.size() + buffers->kept.size()) * sizeof(Compute<S>);
    const std::string suffix = std::string(" ") + decay_name(shape.decay) + " " + storage_name<S>();
    const double flops = matrix_state_flops(shape);
    list.push_back(
        {"matrix_state forward" + suffix, moved, [buffers] { matrix_state_forward(buffers->forward(false)); }, flops});
    list.push_back({"matrix_state backward" + suffix, 2 * moved,
                    [buffers] { matrix_state_backward(buffers->backward(false)); }, 2 * flops});
}

std::vector<BenchmarkCase> matrix_state_benchmarks() {
    std::vector<BenchmarkCase> list;
    for (StateDecay decay : {StateDecay::none, StateDecay::head, StateDecay::channel}) {
        const MatrixStateShape shape{.steps = 256, .batch = 16, .heads = 8, .key = 64, .value = 64, .decay = decay};
        add_matrix_state_benchmarks<float>(list, shape);
        add_matrix_state_benchmarks<bfloat16>(list, shape);
    }
    return list;
}

}  // namespace

KernelRow matrix_state_row() {
    return {"matrix_state", "S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T; o_t = scale S_t^T q_t", matrix_state_parity,
            matrix_state_benchmarks};
}

}  // namespace lithe::kernels

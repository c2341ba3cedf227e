// Parity and speed of the delta_state kernel.
#include "lithe/kernels/matrix_state/delta_state.h"
#include "lithe/kernels/matrix_state/matrix_state_buffers.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct DeltaStateBuffers : MatrixStateBuffers<S> {
    using C = Compute<S>;
    bool low_rank;
    TestBuffer<C> beta, d_beta;
    TestBuffer<S> a, b, da, db;

    // Keys are at most of length one, so that states stay bounded.
    static double longest(const MatrixStateShape& s) { return 1 / std::sqrt(double(std::max<int64_t>(1, s.key))); }
    DeltaStateBuffers(const MatrixStateShape& s, double strongest, bool by_gates, bool two_rows)
        : MatrixStateBuffers<S>(s, strongest, by_gates, longest(s)),
          low_rank(two_rows),
          beta(this->rows, 0.43, 0.9, 0.9),
          d_beta(this->rows),
          a(this->k.size(), 0.47, 0.2, longest(s)),
          b(this->k.size()),
          da(a.size()),
          db(a.size()) {
        for (int64_t i = 0; i < beta.size(); ++i) beta.data()[i] = 1 + beta.data()[i];
        // a part of a in each channel, as RWKV-7 has it
        for (int64_t i = 0; i < b.size(); ++i)
            from_compute(C(0.5 * (1 + std::sin(0.59 * double(i)))) * to_compute(a.data()[i]), b.data()[i]);
    }
    DeltaStateForward<S> delta_forward(bool extras) {
        DeltaStateForward<S> args{.in = this->forward(extras)};
        if (low_rank) {
            args.a = this->template by_head<const S>(a, this->shape.key);
            args.b = this->template by_head<const S>(b, this->shape.key);
        } else {
            args.beta = this->template by_head<const C>(beta, 1);
        }
        return args;
    }
    DeltaStateBackward<S> delta_backward(bool extras) {
        const DeltaStateForward<S> forward = delta_forward(extras);
        return {.in = this->backward(extras),
                .beta = forward.beta,
                .a = forward.a,
                .b = forward.b,
                .d_beta = this->template by_head<C>(d_beta, 1),
                .da = this->template by_head<S>(da, this->shape.key),
                .db = this->template by_head<S>(db, this->shape.key)};
    }
};

struct Case {
    double strongest = 0.2;  // decay
    bool extras = true, gated = false;
};

template <class S> void delta_state_case(ParityResult& result, const MatrixStateShape& shape, const Case& how) {
    for (bool low_rank : {false, true}) {
        DeltaStateBuffers<S> got(shape, how.strongest, how.gated, low_rank),
            expected(shape, how.strongest, how.gated, low_rank);
        delta_state_forward(got.delta_forward(how.extras));
        delta_state_forward_ref(expected.delta_forward(how.extras));
        delta_state_backward(got.delta_backward(how.extras));
        delta_state_backward_ref(expected.delta_backward(how.extras));
        const std::string what = "delta_state " + case_name<S>(shape) + " " + std::to_string(how.strongest) +
                                 (how.extras ? " masks" : "") + (how.gated ? " gates" : "") +
                                 (low_rank ? " two rows" : "");
        // What is written depends on what was read, so that errors of products go on from chunk to chunk.
        const double slack = sizeof(S) == 2 ? 4 : 1, tolerance = slack * storage_tolerance<S>();
        compare_states(result, got, expected, what, slack);
        if (low_rank) {
            compare(result, got.da, expected.da, tolerance, what + " da", 2);
            compare(result, got.db, expected.db, tolerance, what + " db", 2);
        } else {
            compare(result, got.d_beta, expected.d_beta, tolerance, what + " d_beta", 2);
        }
    }
}

ParityResult delta_state_parity(int64_t size) {
    ParityResult result;
    constexpr double kMild = 0.2, kStrong = 9, kStrongest = 120;  // as in matrix_state_parity()
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        for (StateDecay decay : {StateDecay::none, StateDecay::head, StateDecay::channel}) {
            for (int64_t steps : {size, size < 100 ? size + 1 : 65}) {
                const MatrixStateShape shape{
                    .steps = steps, .batch = 2, .heads = 1, .key = 18, .value = 21, .decay = decay};
                for (double strongest : {kMild, kStrong, kStrongest})
                    if (decay != StateDecay::none || strongest == kMild)
                        for (bool extras : {false, true}) delta_state_case<S>(result, shape, {strongest, extras});
                if (decay != StateDecay::none) delta_state_case<S>(result, shape, {.gated = true});
            }
            if (size == 0) continue;
            delta_state_case<S>(result, {.steps = 37, .batch = 1, .heads = 2, .key = size, .value = 5, .decay = decay},
                                {});
            const int64_t steps = size < 100 ? 257 : 70;  // of many values few, for the reference's sake
            delta_state_case<S>(result,
                                {.steps = steps, .batch = 1, .heads = 2, .key = 3, .value = size, .decay = decay}, {});
        }
    });
    return result;
}

template <class S>
void add_delta_state_benchmarks(std::vector<BenchmarkCase>& list, const MatrixStateShape& shape, bool low_rank) {
    auto buffers = std::make_shared<DeltaStateBuffers<S>>(shape, 0.1, false, low_rank);
    delta_state_forward(buffers->delta_forward(false));
    const double moved = buffers->moved_forward(), flops = delta_state_flops(shape, low_rank);
    const std::string suffix =
        std::string(low_rank ? " two rows " : " ") + decay_name(shape.decay) + " " + storage_name<S>();
    list.push_back({"delta_state forward" + suffix, moved,
                    [buffers] { delta_state_forward(buffers->delta_forward(false)); }, flops});
    list.push_back({"delta_state backward" + suffix, 2 * moved,
                    [buffers] { delta_state_backward(buffers->delta_backward(false)); }, 2 * flops});
}

std::vector<BenchmarkCase> delta_state_benchmarks() {
    std::vector<BenchmarkCase> list;
    for (StateDecay decay : {StateDecay::none, StateDecay::head, StateDecay::channel}) {
        const MatrixStateShape shape{.steps = 256, .batch = 16, .heads = 4, .key = 128, .value = 128, .decay = decay};
        add_delta_state_benchmarks<float>(list, shape, false);
        add_delta_state_benchmarks<bfloat16>(list, shape, false);
    }
    const MatrixStateShape shape{
        .steps = 256, .batch = 16, .heads = 8, .key = 64, .value = 64, .decay = StateDecay::channel};
    add_delta_state_benchmarks<float>(list, shape, true);
    add_delta_state_benchmarks<bfloat16>(list, shape, true);
    return list;
}

}  // namespace

KernelRow delta_state_row() {
    return {"delta_state", "u_t = beta_t (v_t - R_t^T k_t), R_t = diag(e^{g_t}) S_{t-1}; S_t = R_t + k_t u_t^T",
            delta_state_parity, delta_state_benchmarks};
}

}  // namespace lithe::kernels

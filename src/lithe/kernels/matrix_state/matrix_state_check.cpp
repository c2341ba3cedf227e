// Parity and speed of the matrix_state kernel.
#include <memory>

#include "lithe/kernels/matrix_state/matrix_state_buffers.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S>
void matrix_state_case(ParityResult& result, const MatrixStateShape& shape, double strongest, bool extras,
                       bool gated = false) {
    MatrixStateBuffers<S> got(shape, strongest, gated), expected(shape, strongest, gated);
    matrix_state_forward(got.forward(extras));
    matrix_state_forward_ref(expected.forward(extras));
    matrix_state_backward(got.backward(extras));
    matrix_state_backward_ref(expected.backward(extras));
    const std::string what = "matrix_state " + case_name<S>(shape) + " " + std::to_string(strongest) +
                             (extras ? " masks" : "") + (gated ? " gates" : "");
    // gradients of a quotient are differences of two sums: what is left is smaller than what bf16 rounded
    const double slack = shape.normalised && sizeof(S) == 2 ? 2 : 1;
    compare_states(result, got, expected, what, slack);
}

// Gates from mild ones to those that lose all in a step and more than exp has.
template <class S> void normalised_cases(ParityResult& result, int64_t size) {
    const auto shape_of = [](int64_t steps, int64_t key, int64_t value) {
        return MatrixStateShape{.steps = steps,
                                .batch = 2,
                                .heads = 2,
                                .key = key,
                                .value = value,
                                .decay = StateDecay::head,
                                .normalised = true};
    };
    for (double strongest : {0.02, 0.2, 9.0})
        for (bool extras : {false, true})
            for (bool gated : {false, true})
                matrix_state_case<S>(result, shape_of(size, 18, 21), strongest, extras, gated);
    if (size == 0) return;
    matrix_state_case<S>(result, shape_of(70, size, 5), 0.1, true);
    matrix_state_case<S>(result, shape_of(70, 3, size), 0.1, true);
}

ParityResult matrix_state_parity(int64_t size) {
    ParityResult result;
    constexpr double kMild = 0.2, kStrong = 9, kStrongest = 120;  // the last loses all in a step, and more than exp has
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        normalised_cases<S>(result, size);
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
    const double moved = buffers->moved_forward();
    const std::string suffix =
        std::string(" ") + (shape.normalised ? "normalised" : decay_name(shape.decay)) + " " + storage_name<S>();
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
    const MatrixStateShape normalised{
        .steps = 256, .batch = 16, .heads = 8, .key = 32, .value = 64, .decay = StateDecay::head, .normalised = true};
    add_matrix_state_benchmarks<float>(list, normalised);
    add_matrix_state_benchmarks<bfloat16>(list, normalised);
    return list;
}

}  // namespace

KernelRow matrix_state_row() {
    return {"matrix_state",
            "S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T; o_t = scale S_t^T q_t, also divided by the sum of its weights",
            matrix_state_parity, matrix_state_benchmarks};
}

}  // namespace lithe::kernels

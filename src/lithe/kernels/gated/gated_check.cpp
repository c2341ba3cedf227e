// Parity and speed of the gated units.
#include <memory>
#include <string>

#include "lithe/kernels/gated/gated.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

// g and u side by side, as one product makes them; values that saturate are among them.
template <class S> void gated_parity(ParityResult& result, Gate gate, int64_t rows, int64_t inner) {
    const int64_t row = 2 * inner;
    TestBuffer<S> x(rows * row, 0.37, 0.1, 12.0), y(rows * inner), y_ref(rows * inner), dx(rows * row),
        dx_ref(rows * row), dy(rows * inner, 0.53, 0.4, 1.0);
    GatedForward<S> args{
        .gate = gate, .rows = rows, .inner = inner, .row = row, .g = x.data(), .u = x.data() + inner, .y = y.data()};
    gated_forward<S>(args);
    gated_backward<S>({args, dy.data(), dx.data(), dx.data() + inner});
    args.y = y_ref.data();
    gated_forward_ref<S>(args);
    gated_backward_ref<S>({args, dy.data(), dx_ref.data(), dx_ref.data() + inner});
    const std::string what = std::string(storage_name<S>()) + " gate " + std::to_string(int(gate)) + " " +
                             std::to_string(rows) + " x " + std::to_string(inner);
    compare(result, y, y_ref, storage_tolerance<S>(), "gated " + what);
    compare(result, dx, dx_ref, storage_tolerance<S>(), "gated backward " + what, 2);
}

ParityResult gated_parity(int64_t size) {
    ParityResult result;
    for_each_storage([&](auto storage) {
        for (const Gate gate : {Gate::sigmoid, Gate::silu, Gate::gelu, Gate::relu}) {
            gated_parity<decltype(storage)>(result, gate, 3, size);
            gated_parity<decltype(storage)>(result, gate, size, 5);
        }
    });
    return result;
}

std::vector<BenchmarkCase> gated_benchmarks() {
    constexpr int64_t kRows = 4096, kInner = 1408;
    auto x = std::make_shared<TestBuffer<bfloat16>>(2 * kRows * kInner, 0.37, 0.1, 2.0);
    auto y = std::make_shared<TestBuffer<bfloat16>>(kRows * kInner, 0.53, 0.4, 1.0);
    const auto args = [=](Gate gate) {
        return GatedForward<bfloat16>{.gate = gate,
                                      .rows = kRows,
                                      .inner = kInner,
                                      .row = 2 * kInner,
                                      .g = x->data(),
                                      .u = x->data() + kInner,
                                      .y = y->data()};
    };
    constexpr double kElements = double(kRows) * double(kInner), kBytes = 2;
    return {{"gated silu bf16", 3 * kElements * kBytes, [=] { gated_forward(args(Gate::silu)); }},
            {"gated silu backward bf16", 5 * kElements * kBytes,
             [=] {
                 gated_backward<bfloat16>({args(Gate::silu), y->data(), x->data(), x->data() + kInner});
             }},
            {"gated gelu bf16", 3 * kElements * kBytes, [=] { gated_forward(args(Gate::gelu)); }}};
}

}  // namespace

KernelRow gated_row() { return {"gated", "y = act(g) u", gated_parity, gated_benchmarks}; }

}  // namespace lithe::kernels

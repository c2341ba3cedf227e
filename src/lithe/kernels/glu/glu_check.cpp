// Parity and speed of the gated units.
#include <memory>
#include <string>

#include "lithe/kernels/glu/glu.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

// g and u side by side, as one product makes them; values that saturate are among them.
template <class S> void glu_parity(ParityResult& result, GluGate gate, int64_t rows, int64_t inner) {
    const int64_t row = 2 * inner;
    TestBuffer<S> x(rows * row, 0.37, 0.1, 12.0), y(rows * inner), y_ref(rows * inner), dx(rows * row),
        dx_ref(rows * row), dy(rows * inner, 0.53, 0.4, 1.0);
    GluForward<S> args{
        .gate = gate, .rows = rows, .inner = inner, .row = row, .g = x.data(), .u = x.data() + inner, .y = y.data()};
    glu_forward<S>(args);
    glu_backward<S>({args, dy.data(), dx.data(), dx.data() + inner});
    args.y = y_ref.data();
    glu_forward_ref<S>(args);
    glu_backward_ref<S>({args, dy.data(), dx_ref.data(), dx_ref.data() + inner});
    const std::string what = std::string(storage_name<S>()) + " gate " + std::to_string(int(gate)) + " " +
                             std::to_string(rows) + " x " + std::to_string(inner);
    compare(result, y, y_ref, storage_tolerance<S>(), "glu " + what);
    compare(result, dx, dx_ref, storage_tolerance<S>(), "glu backward " + what, 2);
}

ParityResult glu_parity(int64_t size) {
    ParityResult result;
    for_each_storage([&](auto storage) {
        for (const GluGate gate : {GluGate::sigmoid, GluGate::silu, GluGate::gelu, GluGate::relu}) {
            glu_parity<decltype(storage)>(result, gate, 3, size);
            glu_parity<decltype(storage)>(result, gate, size, 5);
        }
    });
    return result;
}

std::vector<BenchmarkCase> glu_benchmarks() {
    constexpr int64_t kRows = 4096, kInner = 1408;
    auto x = std::make_shared<TestBuffer<bfloat16>>(2 * kRows * kInner, 0.37, 0.1, 2.0);
    auto y = std::make_shared<TestBuffer<bfloat16>>(kRows * kInner, 0.53, 0.4, 1.0);
    const auto args = [=](GluGate gate) {
        return GluForward<bfloat16>{.gate = gate,
                                    .rows = kRows,
                                    .inner = kInner,
                                    .row = 2 * kInner,
                                    .g = x->data(),
                                    .u = x->data() + kInner,
                                    .y = y->data()};
    };
    constexpr double kElements = double(kRows) * double(kInner), kBytes = 2;
    return {{"glu silu bf16", 3 * kElements * kBytes, [=] { glu_forward(args(GluGate::silu)); }},
            {"glu silu backward bf16", 5 * kElements * kBytes,
             [=] {
                 glu_backward<bfloat16>({args(GluGate::silu), y->data(), x->data(), x->data() + kInner});
             }},
            {"glu gelu bf16", 3 * kElements * kBytes, [=] { glu_forward(args(GluGate::gelu)); }}};
}

}  // namespace

KernelRow glu_row() { return {"glu", "y = act(g) u", glu_parity, glu_benchmarks}; }

}  // namespace lithe::kernels

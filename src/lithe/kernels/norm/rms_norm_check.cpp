// Parity and speed of RMS norm.
#include <memory>

#include "lithe/kernels/norm/rms_norm.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct RmsNormData {
    using C = Compute<S>;
    int64_t rows, heads, width;
    NormGate gate;
    TestBuffer<S> x, z, y, dy, dx, dz;
    TestBuffer<C> gain, scales, sums;

    RmsNormData(int64_t rows_, int64_t heads_, int64_t width_, NormGate gate_)
        : rows(rows_),
          heads(heads_),
          width(width_),
          gate(gate_),
          x(rows * heads * width, 0.37, 0.1, 2.0),
          z(rows * z_row(), 0.41, 0.5, 3.0),
          y(x.size()),
          dy(x.size(), 0.53, 0.7, 1.0),
          dx(x.size()),
          dz(gate == NormGate::none ? 0 : x.size()),
          gain(width, 0.3, 1.1, 1.5),
          scales(rows * heads),
          sums(rms_norm_chunks(rows) * width) {}
    int64_t z_row() const { return heads * width + 3; }
    RmsNormForward<S> forward() {
        return {.rows = rows,
                .heads = heads,
                .width = width,
                .gate = gate,
                .x = x.data(),
                .z = gate == NormGate::none ? nullptr : z.data(),
                .z_row = z_row(),
                .gain = gain.data(),
                .y = y.data(),
                .scales = scales.data()};
    }
    RmsNormBackward<S> backward() { return {forward(), dy.data(), dx.data(), dz.data(), sums.data()}; }
};

template <class S> void rms_norm_case(ParityResult& result, int64_t rows, int64_t heads, int64_t width, NormGate gate) {
    RmsNormData<S> got(rows, heads, width, gate), expected(rows, heads, width, gate);
    rms_norm_forward(got.forward());
    rms_norm_forward_ref(expected.forward());
    rms_norm_backward(got.backward());
    rms_norm_backward_ref(expected.backward());
    const std::string what = std::string("rms_norm ") + storage_name<S>() + " " + std::to_string(rows) + " x " +
                             std::to_string(heads) + " x " + std::to_string(width) + " gate " +
                             std::to_string(int(gate)) + " ";
    const double tolerance = storage_tolerance<S>(), exact = storage_tolerance<Compute<S>>();
    compare(result, got.y, expected.y, tolerance, what + "y");
    compare(result, got.scales, expected.scales, exact, what + "scales", 10);
    compare(result, got.dx, expected.dx, tolerance, what + "dx", 10);
    compare(result, got.dz, expected.dz, tolerance, what + "dz", 10);
    compare(result, got.sums, expected.sums, exact, what + "sums", 100);
}

ParityResult rms_norm_parity(int64_t size) {
    ParityResult result;
    if (size == 0) return result;  // rows of no numbers have no mean
    for_each_storage([&](auto storage) {
        for (const NormGate gate : {NormGate::none, NormGate::before, NormGate::after})
            for (const int64_t rows : {0, 1, 70}) rms_norm_case<decltype(storage)>(result, rows, 2, size, gate);
    });
    return result;
}

template <class S> void add_rms_norm_benchmarks(std::vector<BenchmarkCase>& list) {
    auto data = std::make_shared<RmsNormData<S>>(16 * 256, 8, 64, NormGate::after);
    rms_norm_forward(data->forward());
    const double bytes = double(data->x.size()) * sizeof(S);
    const std::string suffix = std::string(" ") + storage_name<S>();
    list.push_back({"rms_norm forward" + suffix, 3 * bytes, [=] { rms_norm_forward(data->forward()); }});
    list.push_back({"rms_norm backward" + suffix, 5 * bytes, [=] { rms_norm_backward(data->backward()); }});
}

std::vector<BenchmarkCase> rms_norm_benchmarks() {
    std::vector<BenchmarkCase> list;
    add_rms_norm_benchmarks<float>(list);
    add_rms_norm_benchmarks<bfloat16>(list);
    return list;
}

}  // namespace

KernelRow rms_norm_row() {
    return {"rms_norm", "y = gain s / sqrt(mean(s^2) + epsilon), gated by silu(z) before or behind", rms_norm_parity,
            rms_norm_benchmarks};
}

}  // namespace lithe::kernels

// Parity and speed of the gated kernel, cell by cell.
#include <memory>

#include "lithe/kernels/gated/gated.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct GatedBuffers {
    using C = Compute<S>;
    GatedShape shape;
    int64_t rows, d;
    TestBuffer<S> u, w, h0, h, gates, dh, du;
    TestBuffer<C> bias, c0, l0, c, c_last, l_last, dc_last, dl_last, dh0, dc0, dl0, workspace;
    std::vector<uint8_t> flags;

    explicit GatedBuffers(const GatedShape& s)
        : shape(s),
          rows(s.steps * s.rows()),
          d(s.width),
          u(rows * s.gates() * d, 0.37, 0.1, 1.2),
          w(s.heads * s.gates() * d * d, 0.53, 0.7, 1.2 / std::sqrt(double(d) + 1)),
          h0(s.rows() * d, 0.71, 0.3, 0.8),
          h(rows * d),
          gates(rows * 4 * d),
          dh(rows * d, 0.3, 1.57, 1.0),
          du(rows * 4 * d),
          bias(4 * s.heads * d, 0.47, 0.2, 0.5),
          c0(s.rows() * d, 0.77, 0.2, 0.6),
          l0(s.rows() * d, 0.67, 0.9, 1.5),
          c(rows * d),
          c_last(s.rows() * d),
          l_last(s.rows() * d),
          dc_last(s.rows() * d, 0.5, 0.2, 1.0),
          dl_last(s.rows() * d, 0.4, 0.3, 1.0),
          dh0(s.rows() * d),
          dc0(s.rows() * d),
          dl0(s.rows() * d),
          workspace(gated_workspace(s)),
          flags(size_t(s.steps * s.batch)) {
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 7 == 3     ? kPadding
                       : i % 11 == 5  ? kDocumentBegins
                       : i % 13 == 12 ? kPadding | kDocumentBegins
                                      : 0;
    }
    GatedForward<S> forward(bool extras) {
        return {shape,
                u.data(),
                w.data(),
                bias.data(),
                extras ? h0.data() : nullptr,
                extras ? c0.data() : nullptr,
                extras ? l0.data() : nullptr,
                extras ? flags.data() : nullptr,
                h.data(),
                gates.data(),
                c.data(),
                c_last.data(),
                l_last.data(),
                workspace.data()};
    }
    GatedBackward<S> backward(bool extras) {
        return {forward(extras),
                dh.data(),
                extras ? dc_last.data() : nullptr,
                extras ? dl_last.data() : nullptr,
                du.data(),
                dh0.data(),
                dc0.data(),
                dl0.data()};
    }
};

template <class S> void gated_case(ParityResult& result, const GatedShape& shape, bool extras) {
    GatedBuffers<S> got(shape), expected(shape), alone(shape);
    gated_forward(got.forward(extras));
    gated_forward_ref(expected.forward(extras));
    gated_backward(got.backward(extras));
    gated_backward_ref(expected.backward(extras));
    // nothing kept for a backward pass
    GatedForward<S> less = alone.forward(extras);
    less.gates = nullptr;
    less.c = nullptr;
    gated_forward(less);
    const double tolerance = storage_tolerance<S>();
    const std::string what = std::string(shape.traits().name) + " " + storage_name<S>() + " d" +
                             std::to_string(shape.width) + " b" + std::to_string(shape.batch) + " heads " +
                             std::to_string(shape.heads) + (extras ? " masks" : "");
    compare(result, got.h, expected.h, tolerance, what + " h");
    compare(result, alone.h, got.h, 1e-12, what + " h, nothing kept");
    compare(result, got.gates, expected.gates, tolerance, what + " gates");
    compare(result, got.c, expected.c, tolerance, what + " c");
    compare(result, got.c_last, expected.c_last, tolerance, what + " c_last");
    compare(result, got.du, expected.du, tolerance, what + " du");
    compare(result, got.dh0, expected.dh0, tolerance, what + " dh0", 2);
    compare(result, got.dc0, expected.dc0, tolerance, what + " dc0");
    if (!shape.traits().has_normaliser) return;
    compare(result, got.l_last, expected.l_last, tolerance, what + " l_last");
    compare(result, got.dl0, expected.dl0, tolerance, what + " dl0");
}

ParityResult gated_parity(int64_t size) {
    ParityResult result;
    for (const GatedCell cell : kGatedCells)
        for_each_storage([&](auto storage) {
            using S = decltype(storage);
            gated_case<S>(result, {cell, 3, 2, size}, true);
            if (size > 500) return;  // the plain formula takes seconds
            gated_case<S>(result, {cell, 1, 1, size}, false);
            for (int64_t batch : {3, 8, 19})
                if (size < 100) gated_case<S>(result, {cell, 7, batch, size}, batch != 8);
            if (size < 100) gated_case<S>(result, {cell, 5, 5, size, 3}, true);
        });
    return result;
}

template <class S> void add_gated_benchmarks(std::vector<BenchmarkCase>& list, GatedCell cell) {
    const int64_t heads = cell == GatedCell::slstm ? 4 : 1;
    auto buffers = std::make_shared<GatedBuffers<S>>(
        GatedShape{.cell = cell, .steps = 256, .batch = 16, .width = 512 / heads, .heads = heads});
    const std::string name = buffers->shape.traits().name, suffix = std::string(" ") + storage_name<S>();
    const double elements = double(buffers->rows * buffers->d);
    list.push_back({name + " forward" + suffix, elements * double(9 * sizeof(S) + sizeof(Compute<S>)),
                    [buffers] { gated_forward(buffers->forward(false)); }, gated_flops(buffers->shape)});
    list.push_back({name + " backward" + suffix, elements * double(9 * sizeof(S) + sizeof(Compute<S>)),
                    [buffers] {
                        auto args = buffers->backward(false);
                        if (!(buffers->c.at(0) == buffers->c.at(0))) gated_forward(args.forward);
                        gated_backward(args);
                    },
                    gated_flops(buffers->shape)});
}

std::vector<BenchmarkCase> gated_benchmarks() {
    std::vector<BenchmarkCase> list;
    for (const GatedCell cell : kGatedCells) {
        add_gated_benchmarks<float>(list, cell);
        add_gated_benchmarks<bfloat16>(list, cell);
    }
    return list;
}

}  // namespace

KernelRow gated_row() {
    return {"gated", "c_t, h_t = cell(u_t, W h_{t-1}, c_{t-1}): lstm, gru, atr, slstm", gated_parity, gated_benchmarks};
}

}  // namespace lithe::kernels

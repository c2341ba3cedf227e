// Parity and speed of the lstm kernel.
#include <memory>

#include "lithe/kernels/lstm/lstm.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct LstmBuffers {
    using C = Compute<S>;
    LstmShape shape;
    int64_t rows, d;
    TestBuffer<S> u, w, h0, h, gates, dh, du;
    TestBuffer<C> c0, c, c_last, dc_last, dh0, dc0, workspace;
    std::vector<uint8_t> flags;

    explicit LstmBuffers(const LstmShape& s)
        : shape(s),
          rows(s.steps * s.batch),
          d(s.width),
          u(rows * 4 * d, 0.37, 0.1, 1.2),
          w(4 * d * d, 0.53, 0.7, 1.2 / std::sqrt(double(d) + 1)),
          h0(s.batch * d, 0.71, 0.3, 0.8),
          h(rows * d),
          gates(rows * 4 * d),
          dh(rows * d, 0.3, 1.57, 1.0),
          du(rows * 4 * d),
          c0(s.batch * d, 0.77, 0.2, 0.6),
          c(rows * d),
          c_last(s.batch * d),
          dc_last(s.batch * d, 0.5, 0.2, 1.0),
          dh0(s.batch * d),
          dc0(s.batch * d),
          workspace(lstm_workspace(d)),
          flags(size_t(rows)) {
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 7 == 3     ? kPadding
                       : i % 11 == 5  ? kDocumentBegins
                       : i % 13 == 12 ? kPadding | kDocumentBegins
                                      : 0;
    }
    LstmForward<S> forward(bool extras) {
        return {shape,
                u.data(),
                w.data(),
                extras ? h0.data() : nullptr,
                extras ? c0.data() : nullptr,
                extras ? flags.data() : nullptr,
                h.data(),
                gates.data(),
                c.data(),
                c_last.data(),
                workspace.data()};
    }
    LstmBackward<S> backward(bool extras) {
        return {forward(extras), dh.data(), extras ? dc_last.data() : nullptr, du.data(), dh0.data(), dc0.data()};
    }
};

template <class S> void lstm_case(ParityResult& result, const LstmShape& shape, bool extras) {
    LstmBuffers<S> got(shape), expected(shape), alone(shape);
    lstm_forward(got.forward(extras));
    lstm_forward_ref(expected.forward(extras));
    lstm_backward(got.backward(extras));
    lstm_backward_ref(expected.backward(extras));
    // nothing kept for a backward pass
    LstmForward<S> less = alone.forward(extras);
    less.gates = nullptr, less.c = nullptr;
    lstm_forward(less);
    const double tolerance = storage_tolerance<S>();
    const std::string what = std::string("lstm ") + storage_name<S>() + " d" + std::to_string(shape.width) + " b" +
                             std::to_string(shape.batch) + (extras ? " masks" : "");
    compare(result, got.h, expected.h, tolerance, what + " h");
    compare(result, alone.h, got.h, 1e-12, what + " h, nothing kept");
    compare(result, got.gates, expected.gates, tolerance, what + " gates");
    compare(result, got.c, expected.c, tolerance, what + " c");
    compare(result, got.c_last, expected.c_last, tolerance, what + " c_last");
    compare(result, got.du, expected.du, tolerance, what + " du");
    compare(result, got.dh0, expected.dh0, tolerance, what + " dh0", 2);
    compare(result, got.dc0, expected.dc0, tolerance, what + " dc0");
}

ParityResult lstm_parity(int64_t size) {
    ParityResult result;
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        lstm_case<S>(result, {.steps = 3, .batch = 2, .width = size}, true);
        if (size > 500) return;  // the plain formula takes seconds
        lstm_case<S>(result, {.steps = 1, .batch = 1, .width = size}, false);
        for (int64_t batch : {3, 8, 19})
            if (size < 100) lstm_case<S>(result, {.steps = 7, .batch = batch, .width = size}, batch != 8);
    });
    return result;
}

template <class S> void add_lstm_benchmarks(std::vector<BenchmarkCase>& list) {
    auto buffers = std::make_shared<LstmBuffers<S>>(LstmShape{.steps = 256, .batch = 16, .width = 512});
    const std::string suffix = std::string(" ") + storage_name<S>();
    const double elements = double(buffers->rows * buffers->d);
    list.push_back({"lstm forward" + suffix, elements * double(9 * sizeof(S) + sizeof(Compute<S>)),
                    [buffers] { lstm_forward(buffers->forward(false)); }, lstm_flops(buffers->shape)});
    list.push_back({"lstm backward" + suffix, elements * double(9 * sizeof(S) + sizeof(Compute<S>)),
                    [buffers] {
                        auto args = buffers->backward(false);
                        if (!(buffers->c.at(0) == buffers->c.at(0))) lstm_forward(args.forward);
                        lstm_backward(args);
                    },
                    lstm_flops(buffers->shape)});
}

std::vector<BenchmarkCase> lstm_benchmarks() {
    std::vector<BenchmarkCase> list;
    add_lstm_benchmarks<float>(list);
    add_lstm_benchmarks<bfloat16>(list);
    return list;
}

}  // namespace

KernelRow lstm_row() {
    return {"lstm", "i, f, g, o = u_t + W h_{t-1}; c_t = f c_{t-1} + i g; h_t = o tanh(c_t)", lstm_parity,
            lstm_benchmarks};
}

}  // namespace lithe::kernels

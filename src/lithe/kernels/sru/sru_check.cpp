// Parity and speed of the sru kernel.
#include <memory>

#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"
#include "lithe/kernels/sru/sru.h"

namespace lithe::kernels {
namespace {

template <class S> struct SruBuffers {
    using C = Compute<S>;
    SruShape shape;
    int64_t rows, columns;
    TestBuffer<S> u, x, h, dh, du, dx;
    TestBuffer<C> v, bias, c0, mask, c, c_last, dc_last, dc0, dv, dbias, partial;
    std::vector<uint8_t> flags;

    explicit SruBuffers(const SruShape& s)
        : shape(s),
          rows(s.steps * s.batch),
          columns(s.columns()),
          u(rows * columns * s.planes, 0.37, 0.1, 1.2),
          x(rows * columns, 0.53, 0.7, 0.9),
          h(rows * columns),
          dh(rows * columns, 0.3, 1.57, 1.0),
          du(rows * columns * s.planes),
          dx(rows * columns),
          v(2 * columns, 0.91, 0.3, 1.0),
          bias(2 * columns, 1.3, -0.4, 0.5),
          c0(s.batch * columns, 0.77, 0.2, 0.6),
          mask(s.batch * columns, 0.41, 0.9, 1.1),
          c(rows * columns),
          c_last(s.batch * columns),
          dc_last(s.batch * columns, 0.5, 0.2, 1.0),
          dc0(s.batch * columns),
          dv(2 * columns),
          dbias(2 * columns),
          partial(sru_row_blocks(s.batch) * 4 * columns),
          flags(size_t(rows)) {
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 7 == 3     ? kPadding
                       : i % 11 == 5  ? kDocumentBegins
                       : i % 13 == 12 ? kPadding | kDocumentBegins
                                      : 0;
    }

    SruForward<S> forward(bool skip, bool extras) {
        SruForward<S> args;
        args.shape = shape;
        args.u = u.data(), args.x = skip && shape.planes == 3 ? x.data() : nullptr, args.v = v.data(),
        args.bias = bias.data();
        args.c0 = extras ? c0.data() : nullptr, args.mask = extras ? mask.data() : nullptr,
        args.flags = extras ? flags.data() : nullptr;
        args.alpha = C(1.25), args.h = h.data(), args.c = c.data(), args.c_last = c_last.data();
        return args;
    }
    SruBackward<S> backward(bool skip, bool extras) {
        SruBackward<S> args;
        args.forward = forward(skip, extras);
        args.dh = dh.data(), args.dc_last = extras ? dc_last.data() : nullptr, args.du = du.data(),
        args.dx = args.forward.x ? dx.data() : nullptr;
        args.dc0 = dc0.data(), args.partial = partial.data(), args.dv = dv.data(), args.dbias = dbias.data();
        return args;
    }
};

template <class S> void sru_case(ParityResult& result, const SruShape& shape, bool skip, bool extras) {
    SruBuffers<S> got(shape), expected(shape);
    sru_forward(got.forward(skip, extras));
    sru_forward_ref(expected.forward(skip, extras));
    sru_backward(got.backward(skip, extras));
    sru_backward_ref(expected.backward(skip, extras));
    const double tolerance = storage_tolerance<S>();
    const std::string what = std::string("sru ") + storage_name<S>() + " d" + std::to_string(shape.width) + " k" +
                             std::to_string(shape.planes) + (shape.directions == 2 ? " two directions" : "") +
                             (shape.tanh ? " tanh" : "") + (skip ? "" : " no skip") + (extras ? " masks" : "");
    compare(result, got.h, expected.h, tolerance, what + " h");
    compare(result, got.c, expected.c, tolerance, what + " c");
    compare(result, got.c_last, expected.c_last, tolerance, what + " c_last");
    compare(result, got.du, expected.du, tolerance, what + " du");
    if (skip && shape.planes == 3) compare(result, got.dx, expected.dx, tolerance, what + " dx");
    compare(result, got.dc0, expected.dc0, tolerance, what + " dc0");
    compare(result, got.dv, expected.dv, tolerance, what + " dv", 4);
    compare(result, got.dbias, expected.dbias, tolerance, what + " dbias", 4);
}

ParityResult sru_parity(int64_t size) {
    ParityResult result;
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        for (int planes : {3, 4})
            for (int directions : {1, 2})
                for (bool extras : {false, true})
                    sru_case<S>(result,
                                {.steps = 9,
                                 .batch = 3,
                                 .width = size,
                                 .directions = directions,
                                 .planes = planes,
                                 .tanh = extras && planes == 4},
                                true, extras);
        sru_case<S>(result, {.steps = 5, .batch = 6, .width = size}, false, true);
        sru_case<S>(result, {.steps = 1, .batch = 1, .width = size, .tanh = true}, true, false);
    });
    return result;
}

template <class S> void add_sru_benchmarks(std::vector<BenchmarkCase>& list) {
    auto buffers = std::make_shared<SruBuffers<S>>(SruShape{.steps = 256, .batch = 16, .width = 512});
    std::string suffix = std::string(" ") + storage_name<S>();
    list.push_back({"sru forward" + suffix, sru_forward_bytes<S>(buffers->shape, true),
                    [buffers] { sru_forward(buffers->forward(true, false)); }});
    list.push_back({"sru backward" + suffix, sru_backward_bytes<S>(buffers->shape), [buffers] {
                        auto args = buffers->backward(true, false);
                        if (!(buffers->c.at(0) == buffers->c.at(0))) sru_forward(args.forward);
                        sru_backward(args);
                    }});
}

std::vector<BenchmarkCase> sru_benchmarks() {
    std::vector<BenchmarkCase> list;
    add_sru_benchmarks<float>(list);
    add_sru_benchmarks<bfloat16>(list);
    return list;
}

}  // namespace

KernelRow sru_row() {
    return {"sru", "c_t = f_t c_{t-1} + (1 - f_t) u0_t; h_t = x'_t + (g(c_t) - x'_t) m r_t", sru_parity,
            sru_benchmarks};
}

}  // namespace lithe::kernels

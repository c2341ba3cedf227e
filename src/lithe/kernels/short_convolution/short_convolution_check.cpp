// Parity and speed of the short_convolution kernel.
#include <algorithm>
#include <memory>

#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"
#include "lithe/kernels/short_convolution/short_convolution.h"

namespace lithe::kernels {
namespace {

template <class S> struct Buffers {
    using C = Compute<S>;
    ShortConvolutionShape shape;
    TestBuffer<S> x, y, dy, dx, before, last, dlast, dbefore;
    TestBuffer<C> w, bias, dw, partial;
    std::vector<uint8_t> flags;

    explicit Buffers(const ShortConvolutionShape& s)
        : shape(s),
          x(s.steps * s.batch * s.width, 0.53, 0.7, 0.9),
          y(x.size()),
          dy(x.size(), 0.3, 1.57, 1.0),
          dx(x.size()),
          before((s.taps - 1) * s.batch * s.width, 0.77, 0.2, 0.6),
          last(before.size()),
          dlast(before.size(), 0.5, 0.2, 1.0),
          dbefore(before.size()),
          w(s.taps * s.width, 0.91, 0.3, 1.0),
          bias(s.width, 0.41, 0.9, 1.1),
          dw((s.taps + 1) * s.width),
          partial(convolution_row_blocks(s.batch) * (s.taps + 1) * s.width),
          flags(size_t(s.steps * s.batch)) {
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 7 == 3     ? kPadding
                       : i % 11 == 5  ? kDocumentBegins
                       : i % 13 == 12 ? kPadding | kDocumentBegins
                                      : 0;
    }

    ShortConvolutionForward<S> forward(bool extras) {
        ShortConvolutionForward<S> args;
        args.shape = shape;
        args.x = x.data();
        args.w = w.data();
        args.bias = extras ? bias.data() : nullptr;
        args.before = extras ? before.data() : nullptr;
        args.flags = extras ? flags.data() : nullptr;
        args.y = y.data();
        args.last = last.data();
        return args;
    }
    ShortConvolutionBackward<S> backward(bool extras) {
        ShortConvolutionBackward<S> args;
        args.forward = forward(extras);
        args.dy = dy.data();
        args.dlast = extras ? dlast.data() : nullptr;
        args.dx = dx.data();
        args.dbefore = extras ? dbefore.data() : nullptr;
        args.partial = partial.data();
        args.dw = dw.data();
        return args;
    }
};

template <class S> void one_case(ParityResult& result, const ShortConvolutionShape& shape, bool extras) {
    Buffers<S> got(shape), expected(shape);
    short_convolution_forward(got.forward(extras));
    short_convolution_forward_ref(expected.forward(extras));
    short_convolution_backward(got.backward(extras));
    short_convolution_backward_ref(expected.backward(extras));
    const double tolerance = storage_tolerance<S>();
    const std::string what = std::string("short_convolution ") + storage_name<S>() + " k" + std::to_string(shape.taps) +
                             " T" + std::to_string(shape.steps) + " d" + std::to_string(shape.width) +
                             (shape.silu ? " silu" : "") + (extras ? " flags" : "");
    compare(result, got.y, expected.y, tolerance, what + " y");
    compare(result, got.last, expected.last, tolerance, what + " last");
    compare(result, got.dx, expected.dx, tolerance, what + " dx");
    if (extras) compare(result, got.dbefore, expected.dbefore, tolerance, what + " dbefore");
    compare(result, got.dw, expected.dw, tolerance, what + " dw", 4);
}

// One step of columns [begin, end), with the state in place.
void columns_case(ParityResult& result, const ShortConvolutionShape& shape) {
    Buffers<float> got(shape), expected(shape);
    short_convolution_forward_ref(expected.forward(true));
    auto args = got.forward(true);
    args.last = got.before.data();
    for (int64_t begin = 0; begin < shape.width; begin += 700)
        short_convolution_columns(args, begin, std::min(begin + 700, shape.width));
    compare(result, got.y, expected.y, storage_tolerance<float>(), "short_convolution columns y");
    compare(result, got.before, expected.last, storage_tolerance<float>(), "short_convolution columns, state in place");
}

ParityResult parity(int64_t size) {
    ParityResult result;
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        for (const int taps : {2, 3, 4, kMostTaps})
            for (const bool extras : {false, true}) {
                one_case<S>(result, {.steps = 19, .batch = 3, .width = size, .taps = taps, .silu = extras}, extras);
                one_case<S>(result, {.steps = 2, .batch = 6, .width = size, .taps = taps, .silu = !extras}, extras);
            }
        one_case<S>(result, {.steps = 1, .batch = 1, .width = size, .silu = true}, true);
    });
    columns_case(result, {.steps = 1, .batch = 2, .width = size, .silu = true});
    return result;
}

template <class S> void add_benchmarks(std::vector<BenchmarkCase>& list) {
    auto buffers = std::make_shared<Buffers<S>>(
        ShortConvolutionShape{.steps = 256, .batch = 16, .width = 512, .taps = 4, .silu = true});
    const std::string suffix = std::string(" ") + storage_name<S>();
    list.push_back({"short_convolution forward" + suffix, short_convolution_bytes<S>(buffers->shape, false),
                    [buffers] { short_convolution_forward(buffers->forward(false)); }});
    list.push_back({"short_convolution backward" + suffix, short_convolution_bytes<S>(buffers->shape, true),
                    [buffers] { short_convolution_backward(buffers->backward(false)); }});
}

std::vector<BenchmarkCase> benchmarks() {
    std::vector<BenchmarkCase> list;
    add_benchmarks<float>(list);
    add_benchmarks<bfloat16>(list);
    return list;
}

}  // namespace

KernelRow short_convolution_row() {
    return {"short_convolution", "y_t = g(b + sum_j w_{k-1-j} x_{t-j}), depthwise, causal within documents", parity,
            benchmarks};
}

}  // namespace lithe::kernels

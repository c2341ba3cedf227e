// Parity and speed of layer norm.
#include <memory>

#include "lithe/kernels/norm/norm.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct NormData {
    using C = Compute<S>;
    int64_t rows, width;
    TestBuffer<S> x, add, y, dy, dx, d_add;
    TestBuffer<C> gain, bias, statistics, sums, scale;
    NormData(int64_t rows_, int64_t width_)
        : rows(rows_),
          width(width_),
          x(rows * width, 0.37, 0.1, 2.0),
          add(rows * width, 0.41, 0.5, 1.0),
          y(rows * width),
          dy(rows * width, 0.53, 0.7, 1.0),
          dx(rows * width),
          d_add(rows * width),
          gain(width, 0.3, 1.1, 1.5),
          bias(width, 0.7, 0.3, 0.5),
          statistics(rows * 2),
          sums(norm_chunks(rows) * (2 * width + 1)),
          scale(1, 0, 0.7, 1) {}
    NormForward<S> forward(bool with_add) {
        return {.rows = rows,
                .width = width,
                .x = x.data(),
                .add = with_add ? add.data() : nullptr,
                .scale = with_add ? scale.data() : nullptr,
                .gain = gain.data(),
                .bias = bias.data(),
                .y = y.data(),
                .statistics = statistics.data()};
    }
    NormBackward<S> backward(bool with_add) {
        return {forward(with_add), dy.data(), dx.data(), with_add ? d_add.data() : nullptr, sums.data()};
    }
};

template <class S> void norm_case(ParityResult& result, int64_t rows, int64_t width, bool with_add) {
    NormData<S> got(rows, width), expected(rows, width);
    norm_forward(got.forward(with_add));
    norm_forward_ref(expected.forward(with_add));
    norm_backward(got.backward(with_add));
    norm_backward_ref(expected.backward(with_add));
    const std::string what = std::string("norm ") + storage_name<S>() + " " + std::to_string(rows) + " x " +
                             std::to_string(width) + (with_add ? " of a sum " : " ");
    const double tolerance = storage_tolerance<S>(), exact = storage_tolerance<Compute<S>>();
    compare(result, got.y, expected.y, tolerance, what + "y");
    compare(result, got.statistics, expected.statistics, exact, what + "statistics", 10);
    compare(result, got.dx, expected.dx, tolerance, what + "dx", 10);
    if (with_add) compare(result, got.d_add, expected.d_add, tolerance, what + "da", 10);
    compare(result, got.sums, expected.sums, exact, what + "sums", 100);
}

ParityResult norm_parity(int64_t size) {
    ParityResult result;
    if (size == 0) return result;  // rows of no numbers have no mean
    for_each_storage([&](auto storage) {
        for (const int64_t rows : {0, 1, 130})
            for (const bool with_add : {false, true}) norm_case<decltype(storage)>(result, rows, size, with_add);
    });
    return result;
}

template <class S> void add_norm_benchmarks(std::vector<BenchmarkCase>& list) {
    const int64_t rows = 16 * 256, width = 512;
    auto data = std::make_shared<NormData<S>>(rows, width);
    norm_forward(data->forward(false));
    const double bytes = double(rows * width) * sizeof(S);
    const std::string suffix = std::string(" ") + storage_name<S>();
    list.push_back({"norm forward" + suffix, 2 * bytes, [=] { norm_forward(data->forward(false)); }});
    list.push_back({"norm backward" + suffix, 3 * bytes, [=] { norm_backward(data->backward(false)); }});
}

std::vector<BenchmarkCase> norm_benchmarks() {
    std::vector<BenchmarkCase> list;
    add_norm_benchmarks<float>(list);
    add_norm_benchmarks<bfloat16>(list);
    return list;
}

}  // namespace

KernelRow norm_row() {
    return {"norm", "layer norm of x + scale a: y = gain (s - mean) / deviation + bias", norm_parity, norm_benchmarks};
}

}  // namespace lithe::kernels

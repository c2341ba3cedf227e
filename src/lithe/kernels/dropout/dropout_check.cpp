// Parity and speed of the dropout kernel.
#include <memory>

#include "lithe/kernels/dropout/dropout.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

struct Shape {
    int64_t outer, rows, inner, first_row, heads = 1, steps = 1;
    std::string name() const {
        return std::to_string(outer) + " x " + std::to_string(rows) + " x " + std::to_string(heads) + " x " +
               std::to_string(steps) + " x " + std::to_string(inner) + " from row " + std::to_string(first_row);
    }
};

// `size` on each axis in turn: runs that end inside a word, one row, more rows than are done at once, one element.
std::vector<Shape> shapes(int64_t size) {
    return {{.outer = 3, .rows = 5, .inner = size, .first_row = 2},
            {.outer = 1, .rows = 1, .inner = 19 * size, .first_row = 0},
            {.outer = size, .rows = 1, .inner = 8, .first_row = 1},
            {.outer = size, .rows = 3, .inner = 1, .first_row = 7},
            {.outer = 2, .rows = size, .inner = 6, .first_row = int64_t(1) << 40},
            {.outer = 1, .rows = 3, .inner = size, .first_row = 4, .heads = 2, .steps = 5}};
}

// The gradient goes through the same mask, here in place.
template <class S> void dropout_parity(ParityResult& result, const Shape& shape) {
    const int64_t count = shape.outer * shape.rows * shape.heads * shape.steps * shape.inner;
    TestBuffer<S> in(count, 0.37, 0.1, 1.0), got(count), expected(count), gradient(count, 0.3, 1.57, 1.0),
        expected_gradient(count);
    const uint64_t salt = 5;
    DropoutArgs<S> args{.in = in.data(),
                        .out = got.data(),
                        .outer = shape.outer,
                        .rows = shape.rows,
                        .heads = shape.heads,
                        .steps = shape.steps,
                        .inner = shape.inner,
                        .first_row = shape.first_row,
                        .probability = 0.3,
                        .key = 42,
                        .salt = &salt};
    dropout<S>(args);
    args.out = expected.data();
    dropout_ref<S>(args);
    args.in = gradient.data();
    args.out = expected_gradient.data();
    dropout_ref<S>(args);
    args.out = gradient.data();
    dropout<S>(args);
    const std::string what = storage_name<S>() + (" " + shape.name());
    compare(result, got, expected, storage_tolerance<S>(), "dropout " + what);
    compare(result, gradient, expected_gradient, storage_tolerance<S>(), "dropout backward " + what);
}

ParityResult dropout_parity(int64_t size) {
    ParityResult result;
    for_each_storage([&](auto storage) {
        for (const Shape& shape : shapes(size)) dropout_parity<decltype(storage)>(result, shape);
    });
    return result;
}

std::vector<BenchmarkCase> dropout_benchmarks() {
    std::vector<BenchmarkCase> list;
    const int64_t count = 1 << 22;
    auto x = std::make_shared<TestBuffer<bfloat16>>(count, 0.37, 0.1, 1.0);
    auto add = [&](const char* name, int64_t outer, int64_t rows, int64_t heads = 1, int64_t steps = 1) {
        list.push_back({name, 2.0 * 2 * double(count), [=] {
                            dropout<bfloat16>({.in = x->data(),
                                               .out = x->data(),
                                               .outer = outer,
                                               .rows = rows,
                                               .heads = heads,
                                               .steps = steps,
                                               .inner = count / outer / rows / heads / steps,
                                               .probability = 0.1,
                                               .key = 7});
                        }});
    };
    add("dropout bf16", 512, 16);
    add("dropout bf16 one row", 8192, 1);
    add("dropout bf16 attention weights", 1, 16, 4, 256);
    add("dropout bf16 attention weights, few keys", 1, 256, 8, 64);
    return list;
}

}  // namespace

KernelRow dropout_row() {
    return {"dropout", "y = x [bits(key, row, i) >= p] / (1 - p)", dropout_parity, dropout_benchmarks};
}

}  // namespace lithe::kernels

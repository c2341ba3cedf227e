// Parity and speed of rotary positions.
#include <cmath>
#include <memory>
#include <string>

#include "lithe/kernels/parity.h"
#include "lithe/kernels/rotary/rotary.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

struct Shape {
    int64_t steps, batch, heads, size, turned, more;  // more: numbers of a row behind the heads
};

template <class S> void rotary_parity(ParityResult& result, const Shape& shape, bool inverse, bool own) {
    const int64_t row = shape.heads * shape.size + shape.more, count = shape.steps * shape.batch * row;
    TestBuffer<S> x(count, 0.37, 0.1, 1.5), got(count), expected(count), in_place(count, 0.37, 0.1, 1.5);
    TestBuffer<Compute<S>> angles(shape.steps * shape.batch * shape.turned, 0.71, 0.2, 1.0);
    RotaryArgs<S> args{.steps = shape.steps,
                       .batch = shape.batch,
                       .row = row,
                       .heads = shape.heads,
                       .size = shape.size,
                       .turned = shape.turned,
                       .angles = angles.data(),
                       .own_angles = own,
                       .inverse = inverse,
                       .x = x.data(),
                       .y = got.data()};
    rotary<S>(args);
    args.y = expected.data();
    rotary_ref<S>(args);
    args.x = args.y = in_place.data();
    rotary<S>(args);
    const std::string what = std::string(storage_name<S>()) + " " + std::to_string(shape.heads) + " heads of " +
                             std::to_string(shape.size) + ", " + std::to_string(shape.turned) + " turned" +
                             (inverse ? ", inverse" : "") + (own ? ", own angles" : "");
    compare(result, got, expected, storage_tolerance<S>(), "rotary " + what);
    compare(result, in_place, expected, storage_tolerance<S>(), "rotary in place " + what);
}

ParityResult rotary_parity(int64_t size) {
    ParityResult result;
    const int64_t even = 2 * size;
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        for (const bool inverse : {false, true}) {
            rotary_parity<S>(result, {3, 2, 2, even, even, 5}, inverse, inverse);
            rotary_parity<S>(result, {2, 3, 1, even + 3, even, 0}, inverse, !inverse);
            rotary_parity<S>(result, {size, 1, 3, 8, 4, 8}, inverse, true);
        }
    });
    return result;
}

std::vector<BenchmarkCase> rotary_benchmarks() {
    constexpr int64_t kSteps = 512, kBatch = 8, kHeads = 16, kSize = 64, kRow = 3 * kHeads * kSize / 2;
    auto x = std::make_shared<TestBuffer<bfloat16>>(kSteps * kBatch * kRow, 0.37, 0.1, 1.0);
    auto angles = std::make_shared<TestBuffer<float>>(kSteps * kSize, 0.71, 0.2, 1.0);
    return {{"rotary bf16", 2.0 * 2 * double(kSteps * kBatch * kRow), [=] {
                 rotary<bfloat16>({.steps = kSteps,
                                   .batch = kBatch,
                                   .row = kRow,
                                   .heads = kHeads,
                                   .size = kSize,
                                   .turned = kSize,
                                   .angles = angles->data(),
                                   .x = x->data(),
                                   .y = x->data()});
             }}};
}

}  // namespace

KernelRow rotary_row() {
    return {"rotary", "pairs of a head's numbers turned by position / base^(i / half)", rotary_parity,
            rotary_benchmarks};
}

}  // namespace lithe::kernels

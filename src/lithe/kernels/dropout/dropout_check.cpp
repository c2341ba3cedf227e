// Parity and speed of the dropout kernel.
#include <memory>

#include "lithe/kernels/dropout/dropout.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

ParityResult dropout_parity(int64_t size) {
    ParityResult result;
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        const int64_t count = 19 * size;
        TestBuffer<S> in(count, 0.37, 0.1, 1.0), got(count), expected(count);
        dropout<S>({in.data(), got.data(), count, 0.3, 42});
        dropout_ref<S>({in.data(), expected.data(), count, 0.3, 42});
        compare(result, got, expected, storage_tolerance<S>(), std::string("dropout ") + storage_name<S>());
    });
    return result;
}

std::vector<BenchmarkCase> dropout_benchmarks() {
    std::vector<BenchmarkCase> list;
    const int64_t count = 1 << 22;
    auto x = std::make_shared<TestBuffer<bfloat16>>(count, 0.37, 0.1, 1.0);
    list.push_back({"dropout bf16", 2.0 * 2 * double(count), [=] {
                        dropout<bfloat16>({x->data(), x->data(), count, 0.1, 7});
                    }});
    return list;
}

}  // namespace

KernelRow dropout_row() {
    return {"dropout", "y = x [bits(key, i) >= p] / (1 - p)", dropout_parity, dropout_benchmarks};
}

}  // namespace lithe::kernels

// Parity and speed of the cross_entropy kernel.
#include <memory>

#include "lithe/kernels/cross_entropy/cross_entropy.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S>
void cross_entropy_case(ParityResult& result, int64_t rows, int64_t vocabulary, Compute<S> smoothing) {
    using C = Compute<S>;
    TestBuffer<S> got(rows * vocabulary, 0.37, 0.1, 4.0), expected(rows * vocabulary, 0.37, 0.1, 4.0);
    TestBuffer<C> bias(vocabulary, 0.9, 0.2, 0.5), weight(rows, 0.3, 0.4, 1.0), lse(rows), lse_ref(rows), loss(rows),
        loss_ref(rows);
    std::vector<int64_t> targets(static_cast<size_t>(rows));
    for (int64_t n = 0; n < rows; ++n) targets[size_t(n)] = n % 5 == 4 ? -1 : n * 7 % vocabulary;
    CrossEntropyArgs<S> args{.rows = rows,
                             .vocabulary = vocabulary,
                             .logits = got.data(),
                             .bias = bias.data(),
                             .targets = targets.data(),
                             .lse = lse.data(),
                             .loss = loss.data(),
                             .weight = weight.data(),
                             .smoothing = smoothing};
    CrossEntropyArgs<S> args_ref = args;
    args_ref.logits = expected.data();
    args_ref.lse = lse_ref.data();
    args_ref.loss = loss_ref.data();
    cross_entropy_forward(args);
    cross_entropy_forward_ref(args_ref);
    std::string what = std::string("cross_entropy ") + storage_name<S>() + " V" + std::to_string(vocabulary) +
                       (smoothing > 0 ? " smoothed" : "");
    compare(result, loss, loss_ref, storage_tolerance<C>(), what + " loss");
    cross_entropy_backward(args);
    cross_entropy_backward_ref(args_ref);
    compare(result, got, expected, storage_tolerance<S>(), what + " dlogits");
}

ParityResult cross_entropy_parity(int64_t size) {
    ParityResult result;
    if (size == 0) return result;  // an empty vocabulary has no targets
    for_each_storage([&](auto storage) {
        cross_entropy_case<decltype(storage)>(result, 37, size, 0);
        cross_entropy_case<decltype(storage)>(result, 1, size, 0);
        if (size > 1) cross_entropy_case<decltype(storage)>(result, 37, size, 0.1f);
    });
    return result;
}

std::vector<BenchmarkCase> cross_entropy_benchmarks() {
    std::vector<BenchmarkCase> list;
    const int64_t rows = 4096, vocabulary = 256;
    auto logits = std::make_shared<TestBuffer<bfloat16>>(rows * vocabulary, 0.37, 0.1, 1.0);
    auto bias = std::make_shared<TestBuffer<float>>(vocabulary, 0.9, 0.2, 0.5),
         lse = std::make_shared<TestBuffer<float>>(rows), loss = std::make_shared<TestBuffer<float>>(rows);
    auto targets = std::make_shared<std::vector<int64_t>>(size_t(rows), 3);
    list.push_back({"cross_entropy forward bf16", 2.0 * double(rows * vocabulary), [=] {
                        cross_entropy_forward<bfloat16>({.rows = rows,
                                                         .vocabulary = vocabulary,
                                                         .logits = logits->data(),
                                                         .bias = bias->data(),
                                                         .targets = targets->data(),
                                                         .lse = lse->data(),
                                                         .loss = loss->data()});
                    }});
    return list;
}

}  // namespace

KernelRow cross_entropy_row() {
    return {"cross_entropy", "loss = log sum exp(l) - l_target", cross_entropy_parity, cross_entropy_benchmarks};
}

}  // namespace lithe::kernels

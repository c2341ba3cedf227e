// Parity and speed of the softmax kernel.
#include <memory>

#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"
#include "lithe/kernels/softmax/softmax.h"

namespace lithe::kernels {
namespace {

template <class S> void softmax_case(ParityResult& result, const SoftmaxMask& mask, const std::string& words) {
    const int64_t count = mask.batch * mask.heads * mask.queries * mask.keys;
    TestBuffer<S> got(count, 0.37, 0.1, 3.0), expected(count, 0.37, 0.1, 3.0), d_got(count, 0.53, 0.7, 1.0),
        d_expected(count, 0.53, 0.7, 1.0);
    const int64_t rows = mask.batch * mask.heads * mask.queries;
    TestBuffer<Compute<S>> lse(rows), lse_expected(rows), d_lse(rows, 0.3, 0.2, 1.0);
    softmax_forward<S>({mask, 0.7f, got.data(), lse.data()});
    softmax_forward_ref<S>({mask, 0.7f, expected.data(), lse_expected.data()});
    softmax_backward<S>({mask, 0.7f, expected.data(), d_got.data(), d_lse.data()});
    softmax_backward_ref<S>({mask, 0.7f, expected.data(), d_expected.data(), d_lse.data()});
    std::string what = std::string("softmax ") + storage_name<S>() + " keys " + std::to_string(mask.keys) + words;
    compare(result, got, expected, storage_tolerance<S>(), what + " p");
    compare(result, lse, lse_expected, storage_tolerance<S>(), what + " lse");
    compare(result, d_got, d_expected, storage_tolerance<S>(), what + " ds");
}

ParityResult softmax_parity(int64_t size) {
    ParityResult result;
    std::vector<uint8_t> hidden(size_t(2 * size));
    for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = i % 5 == 1 || i < size_t(size) / 2;
    const int64_t queries = std::min<int64_t>(size, 7);
    std::vector<int32_t> first(size_t(2 * queries));
    for (size_t i = 0; i < first.size(); ++i) first[i] = int32_t(i % 3);
    for_each_storage([&](auto storage) {
        using S = decltype(storage);
        SoftmaxMask mask{.batch = 2, .heads = 3, .queries = queries, .keys = size};
        softmax_case<S>(result, mask, " causal");
        mask.ahead = -1;
        softmax_case<S>(result, mask, " not itself");
        mask.ahead = 0;
        mask.window = 4;
        softmax_case<S>(result, mask, " window");
        mask.hidden = hidden.data();
        mask.first = first.data();
        softmax_case<S>(result, mask, " hidden");
        mask.window = -1;
        mask.causal = false;
        softmax_case<S>(result, mask, " hidden, all");
        // the first queries see two spans, the others none
        const int32_t lists[] = {0, 2};
        const auto q = int32_t(queries), k = int32_t(size);
        const QueryBlock blocks[] = {{0, (q + 1) / 2, 0, 2}, {(q + 1) / 2, q, 2, 2}};
        const KeySpan spans[] = {{k / 5, k / 3}, {k / 2, k}};
        mask.spans = {lists, blocks, spans};
        softmax_case<S>(result, mask, " spans");
    });
    return result;
}

template <class S> void add_softmax_benchmarks(std::vector<BenchmarkCase>& list) {
    SoftmaxMask mask{.batch = 16, .heads = 1, .queries = 256, .keys = 512, .causal = false};
    const int64_t count = 16 * 256 * 512;
    auto p = std::make_shared<TestBuffer<S>>(count, 0.37, 0.1, 1.0),
         d = std::make_shared<TestBuffer<S>>(count, 0.53, 0.7, 1.0);
    std::string suffix = std::string(" ") + storage_name<S>();
    list.push_back({"softmax forward" + suffix, 2.0 * double(count) * sizeof(S), [=] {
                        softmax_forward<S>({mask, 1.0f, p->data()});
                    }});
    list.push_back({"softmax backward" + suffix, 3.0 * double(count) * sizeof(S), [=] {
                        softmax_backward<S>({mask, 1.0f, p->data(), d->data()});
                    }});
}

std::vector<BenchmarkCase> softmax_benchmarks() {
    std::vector<BenchmarkCase> list;
    add_softmax_benchmarks<float>(list);
    add_softmax_benchmarks<bfloat16>(list);
    return list;
}

}  // namespace

KernelRow softmax_row() {
    return {"softmax", "p = softmax(scale s) over visible keys", softmax_parity, softmax_benchmarks};
}

}  // namespace lithe::kernels

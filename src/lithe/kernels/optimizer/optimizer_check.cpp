// Parity and speed of the optimizer kernel.
#include <memory>

#include "lithe/kernels/optimizer/optimizer.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class C>
void optimizer_case(ParityResult& result, int64_t count, const UpdateRule& rule, const std::string& words) {
    TestBuffer<C> w(count, 0.37, 0.1, 1.0), w_ref(count, 0.37, 0.1, 1.0), g(count, 0.53, 0.7, 2.0),
        m(count, 0.3, 0.2, 0.1), m_ref(count, 0.3, 0.2, 0.1);
    TestBuffer<C> v(count), v_ref(count);
    for (int64_t i = 0; i < count; ++i) v.data()[i] = v_ref.data()[i] = C(1e-3 + 1e-4 * double(i % 17));
    TestBuffer<bfloat16> working(count), working_ref(count);
    optimizer_update<C>({rule, w.data(), g.data(), m.data(), v.data(), working.data(), count});
    optimizer_update_ref<C>({rule, w_ref.data(), g.data(), m_ref.data(), v_ref.data(), working_ref.data(), count});
    std::string what = std::string("optimizer ") + storage_name<C>() + words;
    compare(result, w, w_ref, storage_tolerance<C>(), what + " weight");
    compare(result, m, m_ref, storage_tolerance<C>(), what + " m");
    compare(result, v, v_ref, storage_tolerance<C>(), what + " v");
    compare(result, working, working_ref, storage_tolerance<bfloat16>(), what + " working");
    double squares = 0;
    for (int64_t i = 0; i < count; ++i) squares += g.at(i) * g.at(i);
    result.add(std::abs(sum_of_squares(g.data(), count) - squares) / (1 + squares), 1e-10, what + " sum of squares");
}

ParityResult optimizer_parity(int64_t size) {
    ParityResult result;
    UpdateRule adaptive{.gradient_scale = 0.5,
                        .l2 = 0.01,
                        .v_decay = 0.99,
                        .step = 0.01,
                        .v_scale = 1.5,
                        .epsilon = 1e-8,
                        .decay = 0.001};
    UpdateRule momentum{.second_moment = true, .adaptive = false, .step = 0.01, .decay = 0.001};
    UpdateRule sgd{.m_decay = 0.9, .m_gain = 1, .second_moment = false, .adaptive = false, .step = 0.1};
    for (int64_t count : {size, 33 * size}) {
        optimizer_case<float>(result, count, adaptive, " adaptive"),
            optimizer_case<double>(result, count, adaptive, " adaptive");
        optimizer_case<float>(result, count, momentum, " momentum"), optimizer_case<double>(result, count, sgd, " sgd"),
            optimizer_case<float>(result, count, sgd, " sgd");
    }
    return result;
}

std::vector<BenchmarkCase> optimizer_benchmarks() {
    const int64_t count = 41'000'000;
    auto w = std::make_shared<TestBuffer<float>>(count, 0.37, 0.1, 1.0),
         g = std::make_shared<TestBuffer<float>>(count, 0.53, 0.7, 1.0),
         m = std::make_shared<TestBuffer<float>>(count, 0.1, 0, 0.01),
         v = std::make_shared<TestBuffer<float>>(count, 0, 1.57, 0.01);
    auto working = std::make_shared<TestBuffer<bfloat16>>(count);
    UpdateRule rule{.step = 1e-4};
    return {{"optimizer adamw 41M", double(count) * (7 * 4 + 2),
             [=] {
                 optimizer_update<float>({rule, w->data(), g->data(), m->data(), v->data(), working->data(), count});
             }},
            {"sum of squares 41M", double(count) * 4, [=] { sum_of_squares(g->data(), count); }}};
}

}  // namespace

KernelRow optimizer_row() {
    return {"optimizer", "m, v, w <- AdamW, RAdam, Adam, SGD in one pass", optimizer_parity, optimizer_benchmarks};
}

}  // namespace lithe::kernels

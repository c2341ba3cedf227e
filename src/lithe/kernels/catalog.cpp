#include "lithe/kernels/catalog.h"

#include <memory>

#include "lithe/kernels/cross_entropy/cross_entropy.h"
#include "lithe/kernels/dropout/dropout.h"
#include "lithe/kernels/isa.h"
#include "lithe/kernels/optimizer/optimizer.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/softmax/softmax.h"
#include "lithe/kernels/sru/sru.h"

namespace lithe::kernels {
namespace {

template <class F> void for_each_storage(const F& f) {
    f(float{});
    f(bfloat16{});
    f(double{});
}

// ---- SRU

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
            flags[i] = i % 7 == 3 ? kSruPad : i % 11 == 5 ? kSruReset : i % 13 == 12 ? kSruPad | kSruReset : 0;
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

// ---- softmax

template <class S> void softmax_case(ParityResult& result, const SoftmaxMask& mask, const std::string& words) {
    const int64_t count = mask.batch * mask.heads * mask.queries * mask.keys;
    TestBuffer<S> got(count, 0.37, 0.1, 3.0), expected(count, 0.37, 0.1, 3.0), d_got(count, 0.53, 0.7, 1.0),
        d_expected(count, 0.53, 0.7, 1.0);
    softmax_forward<S>({mask, 0.7f, got.data()});
    softmax_forward_ref<S>({mask, 0.7f, expected.data()});
    softmax_backward<S>({mask, 0.7f, expected.data(), d_got.data()});
    softmax_backward_ref<S>({mask, 0.7f, expected.data(), d_expected.data()});
    std::string what = std::string("softmax ") + storage_name<S>() + " keys " + std::to_string(mask.keys) + words;
    compare(result, got, expected, storage_tolerance<S>(), what + " p");
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
        mask.window = 4;
        softmax_case<S>(result, mask, " window");
        mask.hidden = hidden.data(), mask.first = first.data();
        softmax_case<S>(result, mask, " hidden");
        mask.window = -1, mask.causal = false;
        softmax_case<S>(result, mask, " hidden, all");
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

// ---- dropout

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

// ---- cross-entropy

template <class S> void cross_entropy_case(ParityResult& result, int64_t rows, int64_t vocabulary) {
    using C = Compute<S>;
    TestBuffer<S> got(rows * vocabulary, 0.37, 0.1, 4.0), expected(rows * vocabulary, 0.37, 0.1, 4.0);
    TestBuffer<C> bias(vocabulary, 0.9, 0.2, 0.5), weight(rows, 0.3, 0.4, 1.0), lse(rows), lse_ref(rows), loss(rows),
        loss_ref(rows);
    std::vector<int64_t> targets(static_cast<size_t>(rows));
    for (int64_t n = 0; n < rows; ++n) targets[size_t(n)] = n % 5 == 4 ? -1 : n * 7 % vocabulary;
    CrossEntropyArgs<S> args{rows,           vocabulary, got.data(),  bias.data(),
                             targets.data(), lse.data(), loss.data(), weight.data()};
    CrossEntropyArgs<S> args_ref{rows,           vocabulary,     expected.data(), bias.data(),
                                 targets.data(), lse_ref.data(), loss_ref.data(), weight.data()};
    cross_entropy_forward(args);
    cross_entropy_forward_ref(args_ref);
    std::string what = std::string("cross_entropy ") + storage_name<S>() + " V" + std::to_string(vocabulary);
    compare(result, loss, loss_ref, storage_tolerance<C>(), what + " loss");
    cross_entropy_backward(args);
    cross_entropy_backward_ref(args_ref);
    compare(result, got, expected, storage_tolerance<S>(), what + " dlogits");
}

ParityResult cross_entropy_parity(int64_t size) {
    ParityResult result;
    if (size == 0) return result;  // an empty vocabulary has no targets
    for_each_storage([&](auto storage) {
        cross_entropy_case<decltype(storage)>(result, 37, size);
        cross_entropy_case<decltype(storage)>(result, 1, size);
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
                        cross_entropy_forward<bfloat16>({rows, vocabulary, logits->data(), bias->data(),
                                                         targets->data(), lse->data(), loss->data(), nullptr});
                    }});
    return list;
}

// ---- optimizer

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

constexpr int64_t kSizes[] = {0, 1, 15, 17, 63, 500, 1029};

const KernelRow kRows[] = {
    {"sru", "c_t = f_t c_{t-1} + (1 - f_t) u0_t; h_t = x'_t + (g(c_t) - x'_t) m r_t", sru_parity, sru_benchmarks},
    {"softmax", "p = softmax(scale s) over visible keys", softmax_parity, softmax_benchmarks},
    {"dropout", "y = x [bits(key, i) >= p] / (1 - p)", dropout_parity, dropout_benchmarks},
    {"cross_entropy", "loss = log sum exp(l) - l_target", cross_entropy_parity, cross_entropy_benchmarks},
    {"optimizer", "m, v, w <- AdamW, RAdam, Adam, SGD in one pass", optimizer_parity, optimizer_benchmarks},
};

}  // namespace

void ParityResult::add(double error, double tolerance, const std::string& what) {
    if (error / tolerance > worst) {
        worst = error / tolerance;
        where = what;
    }
}

std::span<const KernelRow> catalog() { return kRows; }

std::span<const int64_t> awkward_sizes() { return kSizes; }

std::vector<Implementation> implementations(const std::string& no_cuda_reason) {
    std::vector<Implementation> list;
    list.push_back(
        {"cuda", no_cuda_reason.empty(), no_cuda_reason.empty() ? "for tensors on the GPU" : no_cuda_reason});
    for (Isa isa : {Isa::avx512, Isa::avx2, Isa::portable}) {
        bool used = selected_isa() == isa;
        std::string reason = used                   ? "for tensors in memory"
                             : !isa_available(isa)  ? "this CPU lacks it"
                             : isa > selected_isa() ? "LITHE_ISA forces a narrower one"
                                                    : "a wider one is available";
        list.push_back({isa_name(isa), used, reason});
    }
    list.push_back({"reference", false, "for tests"});
    return list;
}

}  // namespace lithe::kernels

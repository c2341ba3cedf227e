// Parity and speed of the diagonal_state kernel, form by form.
#include <memory>

#include "lithe/kernels/diagonal_state/diagonal_state.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct Buffers {
    using C = Compute<S>;
    DiagonalShape shape;
    int64_t rows;
    TestBuffer<S> x, y, dy, dx;
    TestBuffer<C> a, c, s0, s_last, kept, ds_last, ds0, dac, partial;
    std::vector<uint8_t> flags;

    explicit Buffers(const DiagonalShape& s)
        : shape(s),
          rows(s.steps * s.batch),
          x(rows * s.row_numbers(), 0.53, 0.7, 0.9),
          y(x.size()),
          dy(x.size(), 0.3, 1.57, 1.0),
          dx(x.size()),
          a(s.state_numbers(), 0.91, 0.3, 0.65),  // no longer than 0.92
          c(s.state_numbers(), 0.41, 0.9, 1.0 / double(s.states)),
          s0(s.batch * s.state_numbers(), 0.77, 0.2, 0.6),
          s_last(s0.size()),
          kept(s.chunks() * s0.size()),
          ds_last(s0.size(), 0.5, 0.2, 1.0),
          ds0(s0.size()),
          dac((s.form == DiagonalForm::pairs ? 1 : 2) * s.state_numbers()),
          partial(diagonal_row_blocks(s.batch) * 2 * s.state_numbers()),
          flags(size_t(rows)) {
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 7 == 3     ? kPadding
                       : i % 11 == 5  ? kDocumentBegins
                       : i % 13 == 12 ? kPadding | kDocumentBegins
                                      : 0;
    }

    DiagonalForward<S> forward(bool extras) {
        DiagonalForward<S> args;
        args.shape = shape;
        args.x = x.data();
        args.a = a.data();
        args.c = shape.form == DiagonalForm::pairs ? nullptr : c.data();
        args.s0 = extras ? s0.data() : nullptr;
        args.flags = extras ? flags.data() : nullptr;
        args.y = y.data();
        args.kept = kept.data();
        args.s_last = s_last.data();
        return args;
    }
    DiagonalBackward<S> backward(bool extras) {
        DiagonalBackward<S> args;
        args.forward = forward(extras);
        args.dy = dy.data();
        args.ds_last = extras ? ds_last.data() : nullptr;
        args.dx = dx.data();
        args.ds0 = ds0.data();
        args.partial = partial.data();
        args.dac = dac.data();
        return args;
    }
};

template <class S> void one_case(ParityResult& result, const DiagonalShape& shape, bool extras) {
    Buffers<S> got(shape), expected(shape);
    diagonal_forward(got.forward(extras));
    diagonal_forward_ref(expected.forward(extras));
    diagonal_backward(got.backward(extras));
    diagonal_backward_ref(expected.backward(extras));
    const double tolerance = storage_tolerance<S>();
    const std::string what = std::string(name_of(shape.form)) + " " + storage_name<S>() + " d" +
                             std::to_string(shape.width) + " T" + std::to_string(shape.steps) + " n" +
                             std::to_string(shape.states) + (extras ? " flags" : "");
    compare(result, got.y, expected.y, tolerance, what + " y");
    compare(result, got.s_last, expected.s_last, tolerance, what + " s_last");
    compare(result, got.kept, expected.kept, tolerance, what + " kept");
    compare(result, got.dx, expected.dx, tolerance, what + " dx");
    compare(result, got.ds0, expected.ds0, tolerance, what + " ds0");
    compare(result, got.dac, expected.dac, tolerance, what + " da, dc", 8);
}

ParityResult parity(int64_t size) {
    ParityResult result;
    for (const DiagonalForm form : kDiagonalForms)
        for_each_storage([&](auto storage) {
            using S = decltype(storage);
            const int64_t many = form == DiagonalForm::pairs ? 1 : 7, few = many > 1 ? 3 : 1;
            one_case<S>(result, {.form = form, .steps = 1, .batch = 1, .width = size, .states = few}, false);
            one_case<S>(result, {.form = form, .steps = 37, .batch = 2, .width = size, .states = few}, true);
            if (size > 100) return;  // the plain formula takes its time
            for (const bool extras : {false, true})
                one_case<S>(result, {.form = form, .steps = 101, .batch = 6, .width = size, .states = many}, extras);
        });
    return result;
}

template <class S> void add_benchmarks(std::vector<BenchmarkCase>& list, DiagonalForm form) {
    auto buffers = std::make_shared<Buffers<S>>(DiagonalShape{
        .form = form, .steps = 256, .batch = 16, .width = 512, .states = form == DiagonalForm::pairs ? 1 : 32});
    const std::string name = std::string("diagonal ") + name_of(form), suffix = std::string(" ") + storage_name<S>();
    list.push_back({name + " forward" + suffix, diagonal_bytes<S>(buffers->shape, false),
                    [buffers] { diagonal_forward(buffers->forward(false)); }});
    list.push_back({name + " backward" + suffix, diagonal_bytes<S>(buffers->shape, true), [buffers] {
                        auto args = buffers->backward(false);
                        if (!(buffers->kept.at(0) == buffers->kept.at(0))) diagonal_forward(args.forward);
                        diagonal_backward(args);
                    }});
}

std::vector<BenchmarkCase> benchmarks() {
    std::vector<BenchmarkCase> list;
    for (const DiagonalForm form : kDiagonalForms) {
        add_benchmarks<float>(list, form);
        add_benchmarks<bfloat16>(list, form);
    }
    return list;
}

}  // namespace

KernelRow diagonal_state_row() {
    return {"diagonal_state", "s_t = a s_{t-1} + x_t, y_t = Re sum_n c_n s_t,n: real, complex, or complex pairs",
            parity, benchmarks};
}

}  // namespace lithe::kernels

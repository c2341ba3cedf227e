// Parity and speed of the recurrence kernel, cell by cell.
#include <memory>

#include "lithe/kernels/parity.h"
#include "lithe/kernels/recurrence/recurrence.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

template <class S> struct Buffers {
    using C = Compute<S>;
    RecurrenceShape shape;
    CellTraits cell;
    int64_t rows, columns;
    TestBuffer<S> u, x, h, dh, du, dx;
    TestBuffer<C> w, c0, mask, c, c_last, dc_last, dc0, dw, partial;
    std::vector<uint8_t> flags;

    explicit Buffers(const RecurrenceShape& s)
        : shape(s),
          cell(traits_of(s.cell)),
          rows(s.steps * s.batch),
          columns(s.columns()),
          u(rows * columns * cell.planes, 0.37, 0.1, 1.2),
          x(rows * columns, 0.53, 0.7, 0.9),
          h(rows * columns),
          dh(rows * columns, 0.3, 1.57, 1.0),
          du(rows * columns * cell.planes),
          dx(rows * columns),
          w(cell.weights * columns, 0.91, 0.3, 1.0),
          c0(s.batch * columns, 0.77, 0.2, 0.6),
          mask(s.batch * columns, 0.41, 0.9, 1.1),
          c(rows * columns),
          c_last(s.batch * columns),
          dc_last(s.batch * columns, 0.5, 0.2, 1.0),
          dc0(s.batch * columns),
          dw(cell.weights * columns),
          partial(recurrence_row_blocks(s.batch) * cell.weights * columns),
          flags(size_t(rows)) {
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 7 == 3     ? kPadding
                       : i % 11 == 5  ? kDocumentBegins
                       : i % 13 == 12 ? kPadding | kDocumentBegins
                                      : 0;
        if (s.cell == Cell::rg_lru)  // rates are below 0, from hardly any decay to a strong one
            for (int64_t i = 0; i < columns; ++i) w.data()[i] = -C(0.02) - w.data()[i] * w.data()[i];
    }

    RecurrenceForward<S> forward(bool extras) {
        RecurrenceForward<S> args;
        args.shape = shape;
        args.u = u.data();
        args.x = cell.reads_x ? x.data() : nullptr;
        for (int k = 0; k < cell.weights; ++k) args.w[k] = w.data() + k * columns;
        args.c0 = extras ? c0.data() : nullptr;
        args.flags = extras ? flags.data() : nullptr;
        args.mask = extras && shape.cell <= Cell::sru_bare_tanh ? mask.data() : nullptr;
        args.alpha = C(0.75);
        args.h = h.data();
        args.c = c.data();
        args.c_last = c_last.data();
        return args;
    }
    RecurrenceBackward<S> backward(bool extras) {
        RecurrenceBackward<S> args;
        args.forward = forward(extras);
        args.dh = dh.data();
        args.dc_last = extras ? dc_last.data() : nullptr;
        args.du = du.data();
        args.dx = args.forward.x ? dx.data() : nullptr;
        args.dc0 = dc0.data();
        args.partial = partial.data();
        args.dw = dw.data();
        return args;
    }
};

template <class S> void one_case(ParityResult& result, const RecurrenceShape& shape, bool extras) {
    Buffers<S> got(shape), expected(shape);
    recurrence_forward(got.forward(extras));
    recurrence_forward_ref(expected.forward(extras));
    recurrence_backward(got.backward(extras));
    recurrence_backward_ref(expected.backward(extras));
    const double tolerance = storage_tolerance<S>();
    const std::string what = std::string(got.cell.name) + " " + storage_name<S>() + " d" + std::to_string(shape.width) +
                             (shape.directions == 2 ? " two directions" : "") + (extras ? " flags" : "");
    compare(result, got.h, expected.h, tolerance, what + " h");
    compare(result, got.c, expected.c, tolerance, what + " c");
    compare(result, got.c_last, expected.c_last, tolerance, what + " c_last");
    compare(result, got.du, expected.du, tolerance, what + " du");
    if (got.cell.reads_x) compare(result, got.dx, expected.dx, tolerance, what + " dx");
    compare(result, got.dc0, expected.dc0, tolerance, what + " dc0");
    compare(result, got.dw, expected.dw, tolerance, what + " dw", 4);
}

// Columns [begin, end) alone are what the whole gives.
void columns_case(ParityResult& result, const RecurrenceShape& shape) {
    Buffers<float> got(shape), expected(shape);
    recurrence_forward_ref(expected.forward(true));
    for (int64_t begin = 0; begin < shape.width; begin += 700)
        recurrence_columns(got.forward(true), begin, std::min(begin + 700, shape.width));
    compare(result, got.h, expected.h, storage_tolerance<float>(), std::string(got.cell.name) + " columns h");
    compare(result, got.c_last, expected.c_last, storage_tolerance<float>(), "columns c_last");
}

ParityResult parity(int64_t size) {
    ParityResult result;
    for (int number = 0; number < kCells; ++number) {
        const Cell cell = Cell(number);
        const bool sru = cell <= Cell::sru_bare_tanh;
        const int64_t steps = size > 100 ? 3 : 9;  // the plain formula takes its time
        for_each_storage([&](auto storage) {
            using S = decltype(storage);
            for (const int directions : {1, 2})
                if (sru || directions == 1)
                    for (const bool extras : {false, true})
                        one_case<S>(result,
                                    {.cell = cell,
                                     .steps = steps,
                                     .batch = 3,
                                     .width = size,
                                     .directions = directions,
                                     .whole_start = extras},
                                    extras);
            one_case<S>(result, {.cell = cell, .steps = 5, .batch = size > 100 ? 1 : 6, .width = size}, true);
            one_case<S>(result, {.cell = cell, .steps = 1, .batch = 1, .width = size, .whole_start = true}, false);
        });
        columns_case(result, {.cell = cell, .steps = 1, .batch = 2, .width = size});
    }
    return result;
}

template <class S> void add_benchmarks(std::vector<BenchmarkCase>& list, Cell cell) {
    auto buffers = std::make_shared<Buffers<S>>(RecurrenceShape{.cell = cell, .steps = 256, .batch = 16, .width = 512});
    const std::string name = traits_of(cell).name, suffix = std::string(" ") + storage_name<S>();
    list.push_back({name + " forward" + suffix, recurrence_forward_bytes<S>(buffers->shape, true),
                    [buffers] { recurrence_forward(buffers->forward(false)); }});
    list.push_back({name + " backward" + suffix, recurrence_backward_bytes<S>(buffers->shape), [buffers] {
                        auto args = buffers->backward(false);
                        if (!(buffers->c.at(0) == buffers->c.at(0))) recurrence_forward(args.forward);
                        recurrence_backward(args);
                    }});
}

std::vector<BenchmarkCase> benchmarks() {
    std::vector<BenchmarkCase> list;
    for (const Cell cell :
         {Cell::sru, Cell::min_gru, Cell::min_lstm, Cell::lrn, Cell::ssru, Cell::rg_lru, Cell::qrnn_fo}) {
        add_benchmarks<float>(list, cell);
        add_benchmarks<bfloat16>(list, cell);
    }
    return list;
}

}  // namespace

KernelRow recurrence_row() {
    return {"recurrence", "c_t, h_t = cell(u_t, x_t, c_{t-1}), element by element: sru, min_gru, lrn, rg_lru ...",
            parity, benchmarks};
}

}  // namespace lithe::kernels

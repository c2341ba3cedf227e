// Parity and speed of the step kernels.
#include <memory>

#include "lithe/kernels/parity.h"
#include "lithe/kernels/rows.h"
#include "lithe/kernels/step/step.h"

namespace lithe::kernels {
namespace {

// int8 codes for a wave; the other types are TestBuffers.
std::vector<int8_t> codes(int64_t count) {
    std::vector<int8_t> list(static_cast<size_t>(count));
    for (size_t i = 0; i < list.size(); ++i) list[i] = int8_t(int64_t(i * 37 % 255) - 127);
    return list;
}

template <class W>
void product_case(ParityResult& result, const W* weight, int64_t rows, int64_t columns, bool extras, int64_t batch,
                  const char* name) {
    TestBuffer<float> x(batch * columns, 0.37, 0.1, 1.0), bias(rows, 0.9, 0.2, 1.0), scale(rows, 0.3, 0.4, 0.01);
    TestBuffer<float> got(batch * rows), expected(batch * rows);
    StepProduct<W> args{.weight = weight,
                        .columns = columns,
                        .x = x.data(),
                        .y = got.data(),
                        .bias = extras ? bias.data() : nullptr,
                        .scale = extras ? scale.data() : nullptr,
                        .rows = rows,
                        .batch = batch};
    step_product(args, 0, rows / 2);
    step_product(args, rows / 2, rows);
    args.y = expected.data();
    step_product_ref(args, 0, rows);
    double norm = 1;
    for (int64_t i = 0; i < batch * rows; ++i) norm = std::max(norm, std::abs(expected.at(i)));
    for (int64_t i = 0; i < batch * rows; ++i)
        result.add(std::abs(got.at(i) - expected.at(i)) / norm, sizeof(W) == 1 ? 1e-3 : 1e-5,  // int8: x is rounded too
                   std::string("step product ") + name);
}

template <class S> void attend_case(ParityResult& result, int64_t keys, int64_t size, bool by_age) {
    constexpr int64_t kHeads = 2, kParts = 3;
    const int64_t row = 2 * kHeads * size;
    TestBuffer<float> q(kHeads * size, 0.37, 0.1, 1.0), scores(keys), highest(kParts * kHeads), sum(kParts * kHeads),
        out(kParts * kHeads * size), one_highest(kHeads), one_sum(kHeads), one_out(kHeads * size),
        merged(kHeads * size);
    TestBuffer<S> kv(keys * row, 0.53, 0.7, 1.0);
    TestBuffer<float> ages(kHeads * (keys + 2), 0.9, 0.2, 2.0);
    auto args = [&](int64_t part, TestBuffer<float>& h, TestBuffer<float>& l, TestBuffer<float>& o) {
        return StepAttend<S>{kHeads,
                             size,
                             0.3f,
                             q.data(),
                             kv.data(),
                             kv.data() + kHeads * size,
                             row,
                             scores.data(),
                             h.data() + part * kHeads,
                             l.data() + part * kHeads,
                             o.data() + part * kHeads * size,
                             by_age ? ages.data() : nullptr,
                             keys + 2,
                             keys + 1};
    };
    const int64_t borders[] = {0, keys / 3, keys / 3, keys};  // an empty part in the middle
    for (int64_t part = 0; part < kParts; ++part) {
        if (borders[part] < borders[part + 1])
            step_attend(args(part, highest, sum, out), borders[part], borders[part + 1]);
        else
            for (int64_t h = 0; h < kHeads; ++h) sum.data()[part * kHeads + h] = 0;
    }
    step_attend_ref(args(0, one_highest, one_sum, one_out), 0, keys);
    for (int64_t h = 0; h < kHeads; ++h) {
        merge_attention(kParts, highest.data(), sum.data(), out.data(), h, kHeads, size, merged.data() + h * size);
        for (int64_t i = 0; i < size; ++i)
            result.add(std::abs(merged.at(h * size + i) - one_out.at(h * size + i) / one_sum.at(h)), 1e-5,
                       std::string("step attend ") + storage_name<S>() + " keys " + std::to_string(keys));
    }
}

void norm_and_sru_case(ParityResult& result, int64_t size) {
    TestBuffer<float> x(size, 0.37, 0.1, 1.0), gain(size, 0.9, 0.2, 1.0), bias(size, 0.3, 0.4, 1.0), got(size),
        expected(size);
    for (double epsilon : {1e-5, 0.1}) {
        step_norm(x.data(), gain.data(), bias.data(), size, epsilon, got.data());
        step_norm_ref(x.data(), gain.data(), bias.data(), size, epsilon, expected.data());
        compare(result, got, expected, 1e-5, "step norm");
    }
    for (int which = 0; which < 3; ++which) {
        TestBuffer<float> u(3 * size, 0.53, 0.1, 1.5), v(2 * size, 0.7, 0.3, 1.0), b(2 * size, 0.9, 0.5, 1.0),
            c(size, 0.41, 0.2, 1.0), c_ref(size, 0.41, 0.2, 1.0), h(size), h_ref(size);
        StepSru args{size,     u.data(),  which == 1 ? nullptr : x.data(), 1.25f, v.data(), b.data(), c.data(),
                     h.data(), which == 2};
        step_sru(args, 0, size / 2);
        step_sru(args, size / 2, size);
        args.c = c_ref.data();
        args.h = h_ref.data();
        step_sru_ref(args, 0, size);
        compare(result, c, c_ref, 1e-5, "step sru c");
        compare(result, h, h_ref, 1e-5, "step sru h");
    }
}

void gates_case(ParityResult& result, int64_t size) {
    TestBuffer<float> u(4 * size, 0.53, 0.1, 2.5), s(4 * size, 0.7, 0.3, 2.0);
    for (const bool lstm : {true, false}) {
        TestBuffer<float> c(size, 0.41, 0.2, 1.0), c_ref(size, 0.41, 0.2, 1.0), h(size, 0.3, 0.5, 1.0),
            h_ref(size, 0.3, 0.5, 1.0);
        StepGates args{.width = size, .u = u.data(), .s = s.data(), .c = c.data(), .h = h.data()};
        const auto step = lstm ? step_lstm : step_gru;
        step(args, 0, size / 2);
        step(args, size / 2, size);
        args.c = c_ref.data();
        args.h = h_ref.data();
        (lstm ? step_lstm_ref : step_gru_ref)(args, 0, size);
        compare(result, c, c_ref, 1e-5, "step gates c");
        compare(result, h, h_ref, 1e-5, "step gates h");
    }
}

// Two parts that meet within a head; decays of none, heads and channels, each with and without the delta rule.
void matrix_state_case(ParityResult& result, int64_t value) {
    constexpr int64_t kHeads = 3, kKey = 9;
    for (int each = 0; each < 6; ++each) {
        const int which = each % 3;
        TestBuffer<float> beta(kHeads, 0.7, 0.9, 0.5), q(kHeads * kKey, 0.37, 0.1, 1.0), k(q.size(), 0.53, 0.7, 1.0),
            v(kHeads * value, 0.91, 0.3, 1.0), left(q.size(), 0.3, 1.1, 0.9), got(v.size()), expected(v.size()),
            state(q.size() * value, 0.41, 0.2, 1.0), state_ref(q.size() * value, 0.41, 0.2, 1.0);
        StepMatrixState args{.key = kKey,
                             .value = value,
                             .scale = 0.3f,
                             .q = q.data(),
                             .k = k.data(),
                             .v = v.data(),
                             .key_head = which == 1 ? 0 : kKey,
                             .left = which == 0 ? nullptr : left.data(),
                             .left_head = which == 1 ? 1 : kKey,
                             .left_channel = which == 1 ? 0 : 1,
                             .beta = each < 3 ? nullptr : beta.data(),
                             .state = state.data(),
                             .out = got.data()};
        const int64_t border = kHeads * value / 2 / 16 * 16;
        step_matrix_state(args, 0, border);
        step_matrix_state(args, border, kHeads * value);
        args.state = state_ref.data();
        args.out = expected.data();
        step_matrix_state_ref(args, 0, kHeads * value);
        compare(result, got, expected, 1e-5, "step state out");
        compare(result, state, state_ref, 1e-5, "step state");
    }
}

ParityResult parity(int64_t size) {
    ParityResult result;
    TestBuffer<float> single(37 * size, 0.37, 0.1, 1.0);
    TestBuffer<bfloat16> half(37 * size, 0.37, 0.1, 1.0);
    const std::vector<int8_t> eighth = codes(37 * size);
    for (const int64_t batch : {1, 3, 18})
        for (bool extras : {false, true}) {
            product_case(result, single.data(), 37, size, extras, batch, "fp32");
            product_case(result, half.data(), 37, size, extras, batch, "bf16");
            product_case(result, eighth.data(), 37, size, extras, batch, "int8");
        }
    if (size == 0) return result;
    for (bool by_age : {false, true})
        for (const int64_t head : {19, 150})
            attend_case<float>(result, size, head, by_age), attend_case<bfloat16>(result, size, head, by_age);
    norm_and_sru_case(result, size);
    gates_case(result, size);
    matrix_state_case(result, size);
    return result;
}

// A query of one head of 128 over 512 keys.
BenchmarkCase attend_benchmark() {
    constexpr int64_t kKeys = 512, kSize = 128;
    auto q = std::make_shared<TestBuffer<float>>(kSize, 0.37, 0.1, 1.0),
         room = std::make_shared<TestBuffer<float>>(kKeys + 2 + kSize);
    auto kv = std::make_shared<TestBuffer<bfloat16>>(2 * kKeys * kSize, 0.53, 0.7, 1.0);
    float* out = room->data();
    const StepAttend<bfloat16> args{.heads = 1,
                                    .size = kSize,
                                    .scale = 0.1f,
                                    .q = q->data(),
                                    .k = kv->data(),
                                    .v = kv->data() + kSize,
                                    .row = 2 * kSize,
                                    .scores = out,
                                    .highest = out + kKeys,
                                    .sum = out + kKeys + 1,
                                    .out = out + kKeys + 2};
    return {"step attend bf16 512 keys of 128, one thread", 4.0 * kKeys * kSize,
            [q, room, kv, args] { step_attend<bfloat16>(args, 0, kKeys); }};
}

std::vector<BenchmarkCase> benchmarks() {
    constexpr int64_t kRows = 4096, kColumns = 4096;
    auto x = std::make_shared<TestBuffer<float>>(kColumns, 0.37, 0.1, 1.0),
         y = std::make_shared<TestBuffer<float>>(kRows);
    auto half = std::make_shared<TestBuffer<bfloat16>>(kRows * kColumns, 0.37, 0.1, 1.0);
    auto eighth = std::make_shared<std::vector<int8_t>>(codes(kRows * kColumns));
    return {{"step product bf16 4096x4096, one thread", 2.0 * kRows * kColumns,
             [=] {
                 step_product<bfloat16>({half->data(), kColumns, x->data(), y->data()}, 0, kRows);
             }},
            {"step product int8 4096x4096, one thread", 1.0 * kRows * kColumns,
             [=] {
                 step_product<int8_t>({eighth->data(), kColumns, x->data(), y->data()}, 0, kRows);
             }},
            attend_benchmark()};
}

}  // namespace

KernelRow step_row() {
    return {"step", "y = W x, attention of one query, norm, recurrences of one step", parity, benchmarks};
}

}  // namespace lithe::kernels

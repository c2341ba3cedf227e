// Every recurrence on the GPU against its CPU version, forward and backward, at awkward sizes.
#include "devices/devices.h"
#include "lithe/ops/diagonal_state.h"
#include "lithe/ops/gru.h"
#include "lithe/ops/lstm.h"
#include "lithe/ops/matrix_state.h"
#include "lithe/ops/recurrence.h"
#include "lithe/ops/short_convolution.h"
#include "lithe/ops/slstm.h"
#include "lithe/ops/sru.h"

namespace lithe {
namespace {

using testing::expect_same;
using testing::kTypes;
using testing::leaf;
using testing::sizes_name;
using testing::some_flags;
using testing::Tensors;
using testing::tolerance_of;
using testing::wave;

class GpuRecurrences : public testing::GpuTest {};

TEST_F(GpuRecurrences, Sru) {
    for (const auto type : kTypes)
        for (const int64_t steps : {1, 7, 8, 9, 41})
            for (const int64_t width : {1, 33, 130})
                for (const int directions : {1, 2})
                    for (const int planes : {3, 4})
                        for (const bool full : {false, true}) {
                            const int64_t B = 3, D = directions * width;
                            const auto compute = ops::compute_type(type);
                            const bool skip = planes == 3 && full;
                            Tensors in = {leaf({steps, B, planes * D}, 0.37, 0.1, 1.5, type),
                                          skip ? leaf({steps, B, D}, 0.41, 0.3, 1.0, type) : Tensor(),
                                          leaf({2, D}, 0.53, 0.7, 0.8, compute),
                                          leaf({2, D}, 0.3, 0.2, 0.5, compute),
                                          full ? leaf({B, D}, 0.7, 0.4, 1.0, compute) : Tensor(),
                                          full ? wave({B, D}, 0.9, 0.4, 0.5, compute) : Tensor(),
                                          full ? some_flags(steps, B) : Tensor()};
                            expect_same(
                                [&](const Tensors& t) -> Tensors {
                                    const auto out = ops::sru({.u = t[0],
                                                               .x_TBD = t[1],
                                                               .v_2D = t[2],
                                                               .bias_2D = t[3],
                                                               .c0_BD = t[4],
                                                               .mask_BD = t[5],
                                                               .flags_TB = t[6],
                                                               .directions = directions,
                                                               .planes = planes,
                                                               .tanh = full,
                                                               .alpha = 1.3});
                                    return {out.h_TBD, out.c_BD};
                                },
                                in, tolerance_of(type),
                                sizes_name("sru", type, {steps, width, directions, planes, full}));
                        }
}

TEST_F(GpuRecurrences, EveryCellOfTheRecurrence) {
    for (int number = 0; number < kernels::kCells; ++number)
        for (const auto type : kTypes)
            for (const int64_t steps : {1, 8, 41})
                for (const bool full : {false, true}) {
                    const kernels::Cell cell = kernels::Cell(number);
                    const auto traits = kernels::traits_of(cell);
                    const int64_t B = 3, D = 33;
                    const auto compute = ops::compute_type(type);
                    Tensor weights = leaf({traits.weights, D}, 0.53, 0.7, 0.8, compute);
                    if (cell == kernels::Cell::rg_lru) weights = leaf({3, D}, 0.002, -1.3, 0.9, compute);  // below 0
                    Tensors in = {leaf({steps, B, traits.planes * D}, 0.37, 0.1, 1.5, type),
                                  traits.reads_x ? leaf({steps, B, D}, 0.41, 0.3, 1.0, type) : Tensor(),
                                  traits.weights > 0 ? weights : Tensor(),
                                  full ? leaf({B, D}, 0.7, 0.4, 1.0, compute) : Tensor(),
                                  full ? some_flags(steps, B) : Tensor()};
                    expect_same(
                        [&](const Tensors& t) -> Tensors {
                            const auto out = ops::recurrence({.cell = cell,
                                                              .u = t[0],
                                                              .x_TBD = t[1],
                                                              .weights = {t[2]},
                                                              .c0_BD = t[3],
                                                              .flags_TB = t[4],
                                                              .alpha = 0.8,
                                                              .whole_start = full});
                            return {out.h_TBD, out.c_BD};
                        },
                        in, tolerance_of(type), sizes_name(traits.name, type, {steps, full}));
                }
}

TEST_F(GpuRecurrences, DiagonalState) {
    for (const auto form : kernels::kDiagonalForms)
        for (const auto type : kTypes)
            for (const int64_t steps : {1, 32, 71})
                for (const bool full : {false, true}) {
                    const int64_t B = 3, D = 33, N = form == kernels::DiagonalForm::pairs ? 1 : 5;
                    const int64_t P = kernels::parts_of(form);
                    const auto compute = ops::compute_type(type);
                    Tensors in = {leaf({steps, B, kernels::inputs_of(form) * D}, 0.53, 0.7, 0.9, type),
                                  leaf({P, N, D}, 0.91, 0.3, 0.65, compute),
                                  N > 1 ? leaf({P, N, D}, 0.41, 0.9, 0.2, compute) : Tensor(),
                                  full ? leaf({B, P, N, D}, 0.77, 0.2, 0.6, compute) : Tensor(),
                                  full ? some_flags(steps, B) : Tensor()};
                    expect_same(
                        [&](const Tensors& t) -> Tensors {
                            const auto out = ops::diagonal_state({.form = form,
                                                                  .x_TBX = t[0],
                                                                  .a_PND = t[1],
                                                                  .c_PND = t[2],
                                                                  .s0_BPND = t[3],
                                                                  .flags_TB = t[4]});
                            return {out.y_TBX, out.s_BPND};
                        },
                        in, tolerance_of(type), sizes_name(kernels::name_of(form), type, {steps, full}));
                }
}

TEST_F(GpuRecurrences, ShortConvolution) {
    for (const auto type : kTypes)
        for (const int64_t steps : {1, 2, 41})
            for (const int64_t taps : {2, 4, 8})
                for (const bool full : {false, true}) {
                    const int64_t B = 3, D = 33;
                    const auto compute = ops::compute_type(type);
                    Tensors in = {leaf({steps, B, D}, 0.37, 0.1, 1.5, type), leaf({taps, D}, 0.53, 0.7, 0.8, compute),
                                  full ? leaf({D}, 0.3, 0.2, 0.5, compute) : Tensor(),
                                  full ? leaf({taps - 1, B, D}, 0.7, 0.4, 1.0, type) : Tensor(),
                                  full ? some_flags(steps, B) : Tensor()};
                    expect_same(
                        [&](const Tensors& t) -> Tensors {
                            const auto out = ops::short_convolution({.x_TBD = t[0],
                                                                     .w_KD = t[1],
                                                                     .bias_D = t[2],
                                                                     .before_LBD = t[3],
                                                                     .flags_TB = t[4],
                                                                     .silu = full});
                            return {out.y_TBD, out.last_LBD};
                        },
                        in, tolerance_of(type), sizes_name("short_convolution", type, {steps, taps, full}));
                }
}

enum class States { added, delta_rule, two_rows, normalised };

struct StatesCase {
    int64_t steps, key, value;
    int decays;  // 0 none, 1 by head, 2 by channel
    bool full;   // a state at the start and flags; q and k that heads share
    States form;
};

void compare_states(at::ScalarType type, const StatesCase& c) {
    const int64_t B = 2, H = 3;
    const auto compute = ops::compute_type(type);
    const bool plain = c.form == States::added || c.form == States::normalised;
    const double longest = plain ? 0.6 : 1 / std::sqrt(double(c.key));  // of a key, in each number
    Tensors in(11);
    in[0] = leaf({c.steps, B, c.full ? 1 : H, c.key}, 0.37, 0.1, 0.7, type);
    in[1] = leaf({c.steps, B, c.full ? 1 : H, c.key}, 0.53, 0.7, longest, type);
    in[2] = leaf({c.steps, B, H, c.value}, 0.91, 0.3, 0.8, type);
    if (c.decays)
        in[3] = wave({c.steps, B, c.decays == 1 ? H : H * c.key}, 0.71, 0.4, 0.3, compute).abs().neg().requires_grad_();
    if (c.full) {
        in[4] = leaf({B, H, c.key, c.value}, 0.77, 0.2, 0.6, compute);
        in[5] = some_flags(c.steps, B);
    }
    if (c.form == States::delta_rule) in[6] = leaf({c.steps, B, H}, 0.43, 0.9, 0.9, compute);
    if (c.form == States::two_rows) {
        in[7] = leaf({c.steps, B, H, c.key}, 0.47, 0.2, longest, type);
        in[8] = leaf({c.steps, B, H, c.key}, 0.47, 0.2, 0.5 * longest, type);
    }
    if (c.form == States::normalised) {
        in[9] = leaf({c.steps, B, H}, 0.83, 0.9, 0.9, compute);
        if (c.full) in[10] = leaf({B, H, c.key + 1}, 0.67, 0.5, 0.8, compute);
    }
    expect_same(
        [&](const Tensors& t) -> Tensors {
            const auto out = ops::matrix_state({.q_TBHK = t[0],
                                                .k_TBHK = t[1],
                                                .v_TBHV = t[2],
                                                .g_TBX = t[3],
                                                .beta_TBH = t[6],
                                                .a_TBHK = t[7],
                                                .b_TBHK = t[8],
                                                .admit_TBH = t[9],
                                                .start_BHKV = t[4],
                                                .start_sums_BHX = t[10],
                                                .flags_TB = t[5],
                                                .heads = H,
                                                .key = c.key,
                                                .value = c.value,
                                                .scale = 0.3});
            if (out.sums_BHX.defined()) return {out.out_TBX, out.state_BHKV, out.sums_BHX};
            return {out.out_TBX, out.state_BHKV};
        },
        in, 3 * tolerance_of(type),
        sizes_name("matrix state", type, {c.steps, c.key, c.decays, c.full, int64_t(c.form)}));
}

// Small states lie in shared memory, large ones do not.
TEST_F(GpuRecurrences, MatrixState) {
    for (const auto type : kTypes)
        for (const int64_t steps : {1, 9, 70})
            for (const auto& [key, value] : {std::pair<int64_t, int64_t>(1, 3), {33, 40}, {130, 260}})
                for (const int decays : {0, 1, 2})
                    for (const States form : {States::added, States::delta_rule, States::two_rows, States::normalised})
                        for (const bool full : {false, true})
                            if (form != States::normalised || decays == 1)
                                compare_states(type, {steps, key, value, decays, full, form});
}

TEST_F(GpuRecurrences, Lstm) {
    for (const auto type : kTypes)
        for (const int64_t steps : {1, 9})
            for (const int64_t batch : {1, 3, 19})
                for (const int64_t width : {1, 33, 64})
                    for (const bool full : {false, true}) {
                        const auto compute = ops::compute_type(type);
                        const int64_t I = 12;
                        Tensors in = {leaf({steps, batch, I}, 0.37, 0.1, 1, type),
                                      leaf({4 * width, I}, 0.53, 0.7, 0.4, type),
                                      leaf({4 * width, width}, 0.43, 0.2, 0.3, type),
                                      leaf({4 * width}, 0.3, 0.2, 0.5, compute),
                                      full ? leaf({batch, width}, 0.7, 0.4, 0.5, compute) : Tensor(),
                                      full ? leaf({batch, width}, 0.9, 0.4, 0.5, compute) : Tensor(),
                                      full ? some_flags(steps, batch) : Tensor()};
                        expect_same(
                            [&](const Tensors& t) -> Tensors {
                                const auto out = ops::lstm({.x_TBI = t[0],
                                                            .w_input = t[1],
                                                            .w_state = t[2],
                                                            .bias = t[3],
                                                            .h0_BD = t[4],
                                                            .c0_BD = t[5],
                                                            .flags_TB = t[6]});
                                return {out.h_TBD, out.c_BD};
                            },
                            in, 2 * tolerance_of(type), sizes_name("lstm", type, {steps, batch, width, full}));
                    }
}

TEST_F(GpuRecurrences, Slstm) {
    for (const auto type : kTypes)
        for (const bool full : {false, true}) {
            const auto compute = ops::compute_type(type);
            const int64_t steps = 9, batch = 3, width = 5, heads = 2;
            Tensors in = {leaf({steps, batch, 4 * heads * width}, 0.37, 0.1, 1, type),
                          leaf({4 * heads * width, width}, 0.43, 0.2, 0.3, type),
                          leaf({4 * heads * width}, 0.3, 0.2, 0.5, compute),
                          full ? leaf({batch, heads * width}, 0.7, 0.4, 0.5, compute) : Tensor(),
                          full ? some_flags(steps, batch) : Tensor()};
            expect_same(
                [&](const Tensors& t) -> Tensors {
                    const auto out = ops::slstm({.u_TBX = t[0],
                                                 .w_state = t[1],
                                                 .bias = t[2],
                                                 .c0_BD = t[3],
                                                 .flags_TB = t[4],
                                                 .heads = heads});
                    return {out.h_TBD, out.c_BD, out.l_BD};
                },
                in, 2 * tolerance_of(type), sizes_name("slstm", type, {full}));
        }
}

TEST_F(GpuRecurrences, Gru) {
    for (const auto type : kTypes)
        for (const int64_t batch : {1, 19})
            for (const int64_t width : {1, 33, 64})
                for (const bool full : {false, true}) {
                    const auto compute = ops::compute_type(type);
                    const int64_t steps = 9, I = 12;
                    Tensors in = {leaf({steps, batch, I}, 0.37, 0.1, 1, type),
                                  leaf({3 * width, I}, 0.53, 0.7, 0.4, type),
                                  leaf({3 * width, width}, 0.43, 0.2, 0.3, type),
                                  leaf({3 * width}, 0.3, 0.2, 0.5, compute),
                                  leaf({3 * width}, 0.4, 0.6, 0.5, compute),
                                  full ? leaf({batch, width}, 0.7, 0.4, 0.5, compute) : Tensor(),
                                  full ? some_flags(steps, batch) : Tensor()};
                    expect_same(
                        [&](const Tensors& t) -> Tensors {
                            return {ops::gru({.x_TBI = t[0],
                                              .w_input = t[1],
                                              .w_state = t[2],
                                              .bias_input = t[3],
                                              .bias_state = t[4],
                                              .h0_BD = t[5],
                                              .flags_TB = t[6]})
                                        .h_TBD};
                        },
                        in, 2 * tolerance_of(type), sizes_name("gru", type, {batch, width, full}));
                }
}

}  // namespace
}  // namespace lithe

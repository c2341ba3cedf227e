// Every kernel of the catalog, on every instruction set, at every awkward size; what this machine lacks is skipped.
#include <gtest/gtest.h>

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/catalog.h"
#include "lithe/kernels/gated/gated.h"
#include "lithe/kernels/isa.h"
#include "lithe/kernels/parity.h"
#include "lithe/kernels/recurrence/recurrence.h"
#include "support/errors.h"

namespace lithe::kernels {
namespace {

// As three threads would share a loop, or more.
void in_threes(int64_t count, int64_t, RangeFunction body) {
    for (int64_t begin = 0; begin < count; begin += 3) body(begin, std::min(begin + 3, count));
}

class Parity : public ::testing::TestWithParam<std::tuple<int, Isa>> {
 protected:
    const KernelRow& row() const { return catalog()[size_t(std::get<0>(GetParam()))]; }
    void SetUp() override {
        const Isa isa = std::get<1>(GetParam());
        if (!isa_available(isa)) GTEST_SKIP() << "this machine has no " << isa_name(isa);
        force_isa(isa);
    }
    void TearDown() override { force_isa(available_isas().back()); }
};

TEST_P(Parity, EqualsTheReference) {
    for (int64_t size : awkward_sizes()) {
        ParityResult result = row().parity(size);
        EXPECT_LE(result.worst, 1) << row().name << " at size " << size << ": " << result.where;
    }
}

INSTANTIATE_TEST_SUITE_P(Catalog, Parity,
                         ::testing::Combine(::testing::Range(0, int(catalog().size())),
                                            ::testing::Values(Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_bf16)),
                         [](const auto& which) {
                             return std::string(catalog()[size_t(std::get<0>(which.param))].name) + "_" +
                                    isa_name(std::get<1>(which.param));
                         });

// h, du and dh0 of rows that threads share in some way, as one list.
template <class S> std::vector<double> gated_results(GatedCell cell, ParallelBackend share) {
    using C = Compute<S>;
    constexpr int64_t kSteps = 3, kBatch = 19, kWidth = 37, kNumbers = kSteps * kBatch * kWidth;
    set_parallel_backend(share);
    const int64_t planes = traits_of(cell).gates;
    TestBuffer<S> u(planes * kNumbers, 0.37, 0.1, 1.2), w(planes * kWidth * kWidth, 0.53, 0.7, 0.2), h(kNumbers),
        gates(4 * kNumbers), dh(kNumbers, 0.3, 1.57, 1), du(4 * kNumbers);
    TestBuffer<C> bias(4 * kWidth, 0.3, 0.2, 0.5), c(kNumbers), c_last(kBatch * kWidth), l_last(kBatch * kWidth),
        dh0(kBatch * kWidth), dc0(kBatch * kWidth), dl0(kBatch * kWidth),
        workspace(gated_workspace({.batch = kBatch, .width = kWidth}));
    GatedBackward<S> args;
    args.forward = {.shape = {cell, kSteps, kBatch, kWidth},
                    .u = u.data(),
                    .w = w.data(),
                    .b = bias.data(),
                    .h = h.data(),
                    .gates = gates.data(),
                    .c = c.data(),
                    .c_last = c_last.data(),
                    .l_last = l_last.data(),
                    .workspace = workspace.data()};
    args.dh = dh.data();
    args.du = du.data();
    args.dh0 = dh0.data();
    args.dc0 = dc0.data();
    args.dl0 = dl0.data();
    gated_forward(args.forward);
    gated_backward(args);
    set_parallel_backend(nullptr);
    std::vector<double> list;
    for (int64_t i = 0; i < h.size(); ++i) list.push_back(h.at(i));
    for (int64_t i = 0; i < du.size(); ++i) list.push_back(du.at(i));
    for (int64_t i = 0; i < dh0.size(); ++i) list.push_back(dh0.at(i));
    return list;
}

// Rows meet in no sum, so that it does not matter how threads share them; tiles of 1 to 8 rows and blocks of 16.
TEST(Gated, SameBitsHoweverRowsAreShared) {
    for (Isa isa : available_isas()) {
        force_isa(isa);
        for (const GatedCell cell : kGatedCells)
            for_each_storage([&](auto storage) {
                using S = decltype(storage);
                EXPECT_EQ(gated_results<S>(cell, nullptr), gated_results<S>(cell, in_threes))
                    << isa_name(isa) << " " << traits_of(cell).name << " " << storage_name<S>();
            });
    }
    force_isa(available_isas().back());
}

// Gates that are driven far beyond what exp can express are open or shut, not NaN.
TEST(Sru, SaturatedGatesStaySaturated) {
    constexpr int64_t kWidth = 37;
    for (Isa isa : available_isas()) {
        force_isa(isa);
        for (const float far : {200.0f, 1e7f, 1e18f, 3e38f, INFINITY}) {
            for (const bool kept : {false, true}) {
                for (const bool open : {false, true}) {
                    TestBuffer<float> u(3 * kWidth), w(kWidth, 0, 0, 0), c0(kWidth, 0, M_PI / 2, 2), h(kWidth),
                        c_last(kWidth);
                    for (int64_t i = 0; i < kWidth; ++i) {
                        u.data()[i] = 0.5f;
                        u.data()[kWidth + i] = kept ? far : -far;
                        u.data()[2 * kWidth + i] = open ? far : -far;
                    }
                    RecurrenceForward<float> args;
                    args.shape = {.cell = Cell::sru_bare, .steps = 1, .batch = 1, .width = kWidth};
                    args.u = u.data();
                    args.c0 = c0.data();
                    for (int k = 0; k < 4; ++k) args.w[k] = w.data();
                    args.h = h.data();
                    args.c_last = c_last.data();
                    recurrence_forward(args);
                    const double c = kept ? 2 : 0.5;
                    for (int64_t i = 0; i < kWidth; ++i) {
                        EXPECT_NEAR(c_last.at(i), c, 1e-6) << isa_name(isa) << " " << far;
                        EXPECT_NEAR(h.at(i), open ? c : 0, 1e-6) << isa_name(isa) << " " << far;
                    }
                }
            }
        }
    }
    force_isa(available_isas().back());
}

TEST(Bfloat16, RoundsToNearestEven) {
    auto bits = [](float value) {
        bfloat16 out;
        from_compute(value, out);
        return out.bits;
    };
    EXPECT_EQ(bits(1.0f), 0x3f80);
    EXPECT_EQ(bits(1.00390625f), 0x3f80);  // a tie goes to even
    EXPECT_EQ(bits(1.01171875f), 0x3f82);  // a tie goes to even, upwards
    EXPECT_EQ(bits(1.0040f), 0x3f81);
    EXPECT_EQ(bits(INFINITY), 0x7f80);
    EXPECT_TRUE(std::isnan(to_compute(bfloat16{bits(NAN)})));
}

}  // namespace
}  // namespace lithe::kernels

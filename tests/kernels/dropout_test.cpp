// What masks promise beyond parity with the reference (parity_test.cpp): a row's mask is its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "lithe/base/parallel.h"
#include "lithe/kernels/dropout/dropout.h"
#include "lithe/kernels/isa.h"
#include "lithe/kernels/parity.h"

namespace lithe::kernels {
namespace {

// Ones through dropout, as [outer][rows][inner].
template <class S> std::vector<double> masked(DropoutArgs<S> args) {
    TestBuffer<S> x(args.count(), 0, M_PI / 2, 1.0), y(args.count());
    args.in = x.data();
    args.out = y.data();
    dropout(args);
    std::vector<double> values;
    for (int64_t i = 0; i < args.count(); ++i) values.push_back(y.at(i));
    return values;
}

TEST(Dropout, KeepsTheExpectedShareAndTheMean) {
    const int64_t count = 200'000;
    const auto y = masked<float>({.inner = count, .probability = 0.3, .key = 99});
    double zeros = 0, sum = 0;
    for (const double each : y) {
        zeros += each == 0;
        sum += each;
    }
    EXPECT_NEAR(zeros / double(count), 0.3, 0.005);
    EXPECT_NEAR(sum / double(count), 1.0, 0.01);
}

// More rows than the kernel does at once, runs that end inside a word and runs of more than one tile.
TEST(Dropout, ARowsMaskIsItsOwnHoweverTheBatchIsCut) {
    for (const Isa isa : available_isas()) {
        force_isa(isa);
        for (const int64_t rows : {5, 150})
            for (const int64_t inner : {1, 7, 8, 1029}) {
                const int64_t outer = 3;
                const DropoutArgs<float> whole{
                    .outer = outer, .rows = rows, .inner = inner, .first_row = 3, .probability = 0.4, .key = 17};
                const auto expected = masked(whole);
                for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {1, 4}, {rows - 1, rows}}) {
                    DropoutArgs<float> part = whole;
                    part.rows = end - begin;
                    part.first_row = whole.first_row + begin;
                    const auto got = masked(part);
                    for (int64_t o = 0; o < outer; ++o)
                        for (int64_t i = 0; i < part.rows * inner; ++i)
                            ASSERT_EQ(got[size_t(o * part.rows * inner + i)],
                                      expected[size_t((o * rows + begin) * inner + i)])
                                << isa_name(isa) << " rows " << rows << " inner " << inner << " part from " << begin;
                }
            }
    }
    force_isa(available_isas().back());
}

// A longer segment begins with a shorter one's mask.
TEST(Dropout, AMaskGoesOnWhereTheOuterAxisIsLonger) {
    DropoutArgs<float> args{.outer = 9, .rows = 2, .inner = 13, .probability = 0.4, .key = 17};
    const auto longer = masked(args);
    args.outer = 4;
    const auto shorter = masked(args);
    EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}

// Rows of a text that is padded further have more queries and more keys; what they had keeps its mask.
TEST(Dropout, AttentionWeightsKeepTheirMaskHoweverFarTheyArePadded) {
    for (const Isa isa : available_isas()) {
        force_isa(isa);
        const DropoutArgs<float> shorter{
            .rows = 70, .heads = 2, .steps = 3, .inner = 11, .probability = 0.4, .key = 17};
        DropoutArgs<float> longer = shorter;
        longer.steps = 5;
        longer.inner = 1030;
        const auto few = masked(shorter), many = masked(longer);
        for (int64_t line = 0; line < shorter.rows * shorter.heads; ++line)
            for (int64_t t = 0; t < shorter.steps; ++t)
                for (int64_t s = 0; s < shorter.inner; ++s)
                    ASSERT_EQ(few[size_t((line * shorter.steps + t) * shorter.inner + s)],
                              many[size_t((line * longer.steps + t) * longer.inner + s)])
                        << isa_name(isa) << " line " << line << " query " << t << " key " << s;
    }
    force_isa(available_isas().back());
}

// As three threads would share a loop, or more.
void in_threes(int64_t count, int64_t, RangeFunction body) {
    for (int64_t begin = 0; begin < count; begin += 3) body(begin, std::min(begin + 3, count));
}

TEST(Dropout, SameBitsHoweverTheLoopIsShared) {
    for (const DropoutArgs<bfloat16>& args :
         {DropoutArgs<bfloat16>{.outer = 5, .rows = 130, .inner = 2'050, .first_row = 4, .probability = 0.3, .key = 5},
          DropoutArgs<bfloat16>{.outer = 1, .rows = 1, .inner = 1'000'003, .probability = 0.3, .key = 5},
          DropoutArgs<bfloat16>{.outer = 2'001, .rows = 1, .inner = 12, .probability = 0.3, .key = 5}}) {
        const auto alone = masked(args);
        set_parallel_backend(in_threes);
        const auto shared = masked(args);
        set_parallel_backend(nullptr);
        EXPECT_EQ(alone, shared);
    }
}

// Of n independent elements that are kept with probability 1 - p, in standard deviations.
double deviations(double kept, double n, double p) { return (kept - n * (1 - p)) / std::sqrt(n * p * (1 - p)); }

// Neighbouring rows and keys: the share that each keeps, how these shares spread, and how often two agree.
TEST(Dropout, NeighbouringRowsAndKeysAreIndependent) {
    constexpr int64_t kStreams = 400, kInner = 4'096;
    constexpr double kProbability = 0.25, kAgree = 1 - 2 * kProbability * (1 - kProbability);
    std::vector<std::vector<double>> all;
    const auto rows = masked<float>({.rows = kStreams, .inner = kInner, .probability = kProbability, .key = 11});
    for (int64_t row = 0; row < kStreams; ++row)
        all.emplace_back(rows.begin() + row * kInner, rows.begin() + (row + 1) * kInner);
    for (uint64_t key = 0; key < uint64_t(kStreams); ++key)
        all.push_back(masked<float>({.inner = kInner, .first_row = 0, .probability = kProbability, .key = key}));
    double squares = 0, agreement = 0, agreement_squares = 0, pairs = 0;
    std::vector<double> kept_at(kInner);
    for (size_t a = 0; a < all.size(); ++a) {
        double kept = 0;
        for (size_t i = 0; i < size_t(kInner); ++i) {
            kept += all[a][i] != 0;
            kept_at[i] += all[a][i] != 0;
        }
        const double off = deviations(kept, kInner, kProbability);
        EXPECT_LT(std::abs(off), 5) << "stream " << a;
        squares += off * off;
        for (const size_t apart : {size_t(1), size_t(2), size_t(64)}) {
            const size_t b = a + apart;
            if (b >= all.size() || (a < size_t(kStreams)) != (b < size_t(kStreams))) continue;
            double same = 0;
            for (size_t i = 0; i < size_t(kInner); ++i) same += (all[a][i] != 0) == (all[b][i] != 0);
            const double by = deviations(same, kInner, 1 - kAgree);
            EXPECT_LT(std::abs(by), 5) << "streams " << a << " and " << b;
            agreement += by;
            agreement_squares += by * by;
            pairs += 1;
        }
    }
    const double streams = double(all.size());
    EXPECT_NEAR(squares / streams, 1, 5 * std::sqrt(2 / streams)) << "the spread of the shares";
    EXPECT_LT(std::abs(agreement) / std::sqrt(pairs), 5);
    EXPECT_NEAR(agreement_squares / pairs, 1, 5 * std::sqrt(2 / pairs)) << "the spread of agreements";
    double place_squares = 0;
    for (const double kept : kept_at) {
        const double off = deviations(kept, streams, kProbability);
        EXPECT_LT(std::abs(off), 5.5) << "an element over all streams";
        place_squares += off * off;
    }
    EXPECT_NEAR(place_squares / double(kInner), 1, 5 * std::sqrt(2 / double(kInner)));
}

TEST(Dropout, KeyAndRowAreNotExchangeable) {
    const auto mask = [](uint64_t key, int64_t row) {
        return masked<float>({.inner = 256, .first_row = row, .probability = 0.5, .key = key});
    };
    EXPECT_EQ(mask(3, 4), mask(3, 4));
    EXPECT_NE(mask(3, 4), mask(4, 3));
    EXPECT_NE(mask(3, 4), mask(2, 5));
    EXPECT_NE(mask(0, 1), mask(1, 0));
    EXPECT_NE(mask(0, 0), mask(0, 1));
}

}  // namespace
}  // namespace lithe::kernels

// Sets of rows with ranks: their bits, and what is no set.
#include "lithe/base/row_set.h"

#include <gtest/gtest.h>

#include "lithe/base/rng.h"

namespace lithe {
namespace {

std::vector<uint8_t> some_flags(int64_t rows) {
    std::vector<uint8_t> flags;
    for (int64_t row = 0; row < rows; ++row) flags.push_back(random_unit(5, uint64_t(row)) < 0.4);
    return flags;
}

TEST(RowSet, RanksCountTheRowsBefore) {
    for (const int64_t rows : {1, 7, 8, 63, 64, 65, 128, 1000}) {
        const std::vector<uint8_t> flags = some_flags(rows);
        const RowSet set = RowSet::of_flags(flags.data(), rows);
        std::vector<int64_t> list;
        for (int64_t row = 0; row < rows; ++row) {
            EXPECT_EQ(set.rank(row), flags[size_t(row)] ? int64_t(list.size()) : -1) << row << " of " << rows;
            if (flags[size_t(row)]) list.push_back(row);
        }
        EXPECT_EQ(set.list(), list);
        EXPECT_EQ(set.count(), int64_t(list.size()));
    }
}

TEST(RowSet, AllAndNone) {
    for (const int64_t rows : {0, 1, 64, 65}) {
        EXPECT_EQ(RowSet::all(rows).count(), rows);
        EXPECT_EQ(RowSet::none(rows).count(), 0);
        EXPECT_EQ(RowSet::none(rows).rows(), rows);
    }
    EXPECT_EQ(RowSet::all(65).rank(64), 64);
    EXPECT_EQ(RowSet::none(65).rank(64), -1);
}

TEST(RowSet, BitsAreItselfAgain) {
    for (const int64_t rows : {0, 1, 8, 9, 64, 65, 1000}) {
        const RowSet set = RowSet::of_flags(some_flags(rows).data(), rows);
        RowSet read;
        ASSERT_TRUE(RowSet::from_bits(set.bits(), rows, read)) << rows;
        EXPECT_EQ(read.list(), set.list());
        EXPECT_EQ(read.rows(), rows);
    }
}

TEST(RowSet, BitsOfRowsThatAreNotThereAreRefused) {
    const std::vector<std::byte> nine = {std::byte(0xFF), std::byte(1)}, ten = {std::byte(0xFF), std::byte(2)};
    RowSet set = RowSet::all(3);
    EXPECT_TRUE(RowSet::from_bits(nine, 9, set));
    EXPECT_EQ(set.count(), 9);
    EXPECT_FALSE(RowSet::from_bits(ten, 9, set));
    EXPECT_FALSE(RowSet::from_bits(nine, 8, set)) << "a byte too many";
    EXPECT_FALSE(RowSet::from_bits(nine, 17, set)) << "a byte too few";
    EXPECT_FALSE(RowSet::from_bits({}, -1, set));
    EXPECT_FALSE(RowSet::from_bits(nine, INT64_MAX, set));
    EXPECT_EQ(set.rows(), 9) << "it stays as it was";
}

}  // namespace
}  // namespace lithe

// Some of a table's rows, found by rank: a bit for each row, and how many of them stand before every 64th.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lithe {

// 64 rows: a bit each, the lowest for the first, and how many rows of the set stand before them.
struct RowBlock {
    uint64_t bits = 0, before = 0;
};

// The place of row `row` among those of the set; -1: it is none of them.
inline int64_t rank_of(const RowBlock* blocks, int64_t row) {
    const RowBlock& block = blocks[row / 64];
    const int64_t at = row % 64;
    if (!(block.bits >> at & 1)) return -1;
    return int64_t(block.before) + __builtin_popcountll(block.bits & ((uint64_t(1) << at) - 1));
}

class RowSet {
 public:
    RowSet() = default;
    static RowSet none(int64_t rows) { return RowSet(rows); }
    static RowSet all(int64_t rows);
    // flags [rows]: whether each row is in the set.
    static RowSet of_flags(const uint8_t* flags, int64_t rows);
    // bits: ceil(rows / 8) bytes, eight rows each, the lowest bit first, zeros behind the last row. False, and `set`
    // stays as it is, where they are not.
    static bool from_bits(std::span<const std::byte> bits, int64_t rows, RowSet& set);
    std::vector<std::byte> bits() const;

    int64_t rows() const { return rows_; }
    int64_t count() const { return count_; }
    int64_t rank(int64_t row) const { return rank_of(blocks_.data(), row); }
    const RowBlock* blocks() const { return blocks_.data(); }
    std::vector<int64_t> list() const;  // its rows, rising

 private:
    explicit RowSet(int64_t rows) : rows_(rows), blocks_(size_t(rows / 64 + (rows % 64 != 0))) {}
    void count_up();

    int64_t rows_ = 0, count_ = 0;
    std::vector<RowBlock> blocks_;
};

}  // namespace lithe

#include "lithe/base/row_set.h"

#include <utility>

namespace lithe {

void RowSet::count_up() {
    count_ = 0;
    for (RowBlock& block : blocks_) {
        block.before = uint64_t(count_);
        count_ += __builtin_popcountll(block.bits);
    }
}

RowSet RowSet::all(int64_t rows) {
    RowSet set(rows);
    for (RowBlock& block : set.blocks_) block.bits = ~uint64_t(0);
    if (rows % 64 != 0) set.blocks_.back().bits = (uint64_t(1) << rows % 64) - 1;
    set.count_up();
    return set;
}

RowSet RowSet::of_flags(const uint8_t* flags, int64_t rows) {
    RowSet set(rows);
    for (int64_t row = 0; row < rows; ++row)
        set.blocks_[size_t(row / 64)].bits |= uint64_t(flags[row] != 0) << row % 64;
    set.count_up();
    return set;
}

bool RowSet::from_bits(std::span<const std::byte> bits, int64_t rows, RowSet& set) {
    if (rows < 0 || bits.size() != size_t(rows / 8 + (rows % 8 != 0))) return false;
    RowSet read(rows);
    for (size_t byte = 0; byte < bits.size(); ++byte)
        read.blocks_[byte / 8].bits |= uint64_t(bits[byte]) << byte % 8 * 8;
    if (rows % 64 != 0 && read.blocks_.back().bits >> rows % 64 != 0) return false;
    read.count_up();
    set = std::move(read);
    return true;
}

std::vector<std::byte> RowSet::bits() const {
    std::vector<std::byte> bytes(size_t(rows_ / 8 + (rows_ % 8 != 0)));
    for (size_t byte = 0; byte < bytes.size(); ++byte)
        bytes[byte] = std::byte(blocks_[byte / 8].bits >> byte % 8 * 8 & 0xFF);
    return bytes;
}

std::vector<int64_t> RowSet::list() const {
    std::vector<int64_t> rows;
    rows.reserve(size_t(count_));
    for (size_t block = 0; block < blocks_.size(); ++block)
        for (uint64_t left = blocks_[block].bits; left != 0; left &= left - 1)
            rows.push_back(int64_t(block) * 64 + __builtin_ctzll(left));
    return rows;
}

}  // namespace lithe

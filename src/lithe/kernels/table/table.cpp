#include "lithe/kernels/table/table.h"

#include <array>

#include "lithe/base/parallel.h"
#include "lithe/kernels/table/table_range.h"

namespace lithe::kernels {
namespace {

template <class C> void update_range(const TableUpdate<C>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(table_range, args, begin, end)
}

constexpr int kDigit = 11, kBuckets = 1 << kDigit;

}  // namespace

RowGroups group_rows(const int64_t* row_of_entry, int64_t count) {
    RowGroups groups;
    std::vector<uint64_t> keys(static_cast<size_t>(count)), other(keys.size());  // row above, entry below
    int64_t highest = 0;
    for (int64_t i = 0; i < count; ++i) {
        keys[size_t(i)] = uint64_t(row_of_entry[i]) << 32 | uint64_t(i);
        highest = row_of_entry[i] > highest ? row_of_entry[i] : highest;
    }
    for (int shift = 0; highest >> shift;
         shift += kDigit) {  // from the lowest digit; each pass keeps equal ones in order
        std::array<uint32_t, kBuckets> place{};
        for (uint64_t key : keys) ++place[(key >> (32 + shift)) & (kBuckets - 1)];
        uint32_t before = 0;
        for (uint32_t& each : place) {
            const uint32_t here = each;
            each = before;
            before += here;
        }
        for (uint64_t key : keys) other[place[(key >> (32 + shift)) & (kBuckets - 1)]++] = key;
        keys.swap(other);
    }
    groups.order.resize(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
        const auto row = int64_t(keys[i] >> 32);
        if (groups.rows.empty() || groups.rows.back() != row) {
            groups.rows.push_back(row);
            groups.starts.push_back(int64_t(i));
        }
        groups.order[i] = int64_t(keys[i] & 0xFFFFFFFFu);
    }
    groups.starts.push_back(count);
    return groups;
}

template <class C> void table_update(const TableUpdate<C>& args) {
    if (args.width == 0) return;
    parallel_for(args.groups, 64, [&](int64_t begin, int64_t end) { update_range(args, begin, end); });
}

template void table_update<float>(const TableUpdate<float>&);
template void table_update<double>(const TableUpdate<double>&);

}  // namespace lithe::kernels

#include "lithe/objectives/parts.h"

namespace lithe {

int64_t natural_parts(int64_t rows, int threads, at::Device device) {
    // beyond, gradients for every part and few rows in each cost more than waiting does
    constexpr int kMostThreads = 4;
    return device.is_cpu() && threads <= kMostThreads && threads <= rows ? threads : 1;
}

Tensor rows_of(const Tensor& numbers_TB, int64_t part, int64_t parts) {
    if (!numbers_TB.defined() || parts == 1) return numbers_TB;
    const RowRange range = range_of_part(part, parts, numbers_TB.size(1));
    return numbers_TB.slice(1, range.first, range.end).contiguous();
}

DeviceBatch rows_of(const DeviceBatch& batch, int64_t part, int64_t parts) {
    const auto columns = [&](const Tensor& numbers_TB) { return rows_of(numbers_TB, part, parts); };
    const RowRange range = range_of_part(part, parts, batch.rows());
    return {.ids_TB = columns(batch.ids_TB),
            .targets_TB = columns(batch.targets_TB),
            .flags_TB = columns(batch.flags_TB),
            .source_SB = columns(batch.source_SB),
            .source_flags_SB = columns(batch.source_flags_SB),
            .labels_B = batch.labels_B.defined() ? batch.labels_B.slice(0, range.first, range.end) : Tensor()};
}

}  // namespace lithe

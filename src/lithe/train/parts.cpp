#include "lithe/train/parts.h"

#include <algorithm>

namespace lithe {

int64_t natural_parts(const LanguageModel& model, int64_t rows, int threads, at::Device device) {
    // beyond, gradients for every part and few rows in each cost more than waiting does
    constexpr int kMostThreads = 4;
    if (!device.is_cpu() || threads > kMostThreads || threads > rows) return 1;
    const auto& blocks = model.stack().blocks;
    const bool many_rows = std::any_of(blocks.begin(), blocks.end(), [](const AppliedBlock& applied) {
        return applied.parts->kind->traits.products_in_time;
    });
    return many_rows ? 1 : threads;
}

Tensor rows_of(const Tensor& numbers_TB, int64_t part, int64_t parts) {
    if (!numbers_TB.defined() || parts == 1) return numbers_TB;
    const RowRange range = range_of_part(part, parts, numbers_TB.size(1));
    return numbers_TB.slice(1, range.first, range.end).contiguous();
}

}  // namespace lithe

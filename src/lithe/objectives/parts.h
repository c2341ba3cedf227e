// A batch's rows cut into parts that run side by side (ops/side_by_side.h), a thread each: nothing then waits for the
// slower thread at the end of every operator, and what LibTorch does between operators is done on all cores.
#pragma once

#include "lithe/objectives/device_batch.h"

namespace lithe {

// One part per thread where that pays: up to four threads, no GPU; else 1.
int64_t natural_parts(int64_t rows, int threads, at::Device device);

// The rows of a part; parts differ by one row at most.
struct RowRange {
    int64_t first, end;
};
inline RowRange range_of_part(int64_t part, int64_t parts, int64_t rows) {
    return {part * rows / parts, (part + 1) * rows / parts};
}
// A part's columns of [T][rows]; undefined stays undefined.
Tensor rows_of(const Tensor& numbers_TB, int64_t part, int64_t parts);
DeviceBatch rows_of(const DeviceBatch& batch, int64_t part, int64_t parts);

}  // namespace lithe

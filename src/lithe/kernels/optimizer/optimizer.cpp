#include "lithe/kernels/optimizer/optimizer.h"

#include <algorithm>
#include <vector>

#include "lithe/base/parallel.h"
#include "lithe/kernels/optimizer/optimizer_range.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kChunk = 1 << 14;

template <class C> void update_range(const UpdateArgs<C>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(optimizer_range, args, begin, end)
}

template <class C>
double squares_range(const C* values, int64_t count){LITHE_CALL_ISA(sum_of_squares_range, values, count)}

int64_t chunks_of(int64_t count) {
    return (count + kChunk - 1) / kChunk;
}

}  // namespace

template <class C> void optimizer_update(const UpdateArgs<C>& args) {
    parallel_for(chunks_of(args.count), 4, [&](int64_t begin, int64_t end) {
        update_range(args, begin * kChunk, std::min(end * kChunk, args.count));
    });
}

template <class C> double sum_of_squares(const C* values, int64_t count) {
    std::vector<double> partial(size_t(chunks_of(count)));
    parallel_for(chunks_of(count), 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            partial[size_t(i)] = squares_range(values + i * kChunk, std::min(kChunk, count - i * kChunk));
    });
    double total = 0;
    for (double each : partial) total += each;
    return total;
}

template void optimizer_update<float>(const UpdateArgs<float>&);
template void optimizer_update<double>(const UpdateArgs<double>&);
template double sum_of_squares<float>(const float*, int64_t);
template double sum_of_squares<double>(const double*, int64_t);

}  // namespace lithe::kernels

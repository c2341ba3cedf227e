#include "lithe/kernels/dropout/dropout.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/parallel.h"
#include "lithe/kernels/dropout/dropout_range.h"

namespace lithe::kernels {
namespace {

template <class S>
void range(const DropoutArgs<S>& args, int64_t begin, int64_t end, uint32_t threshold, Compute<S> scale) {
    LITHE_CALL_ISA(dropout_range, args, begin, end, threshold, scale)
}

}  // namespace

template <class S> void dropout(const DropoutArgs<S>& given) {
    if (given.count() == 0) return;
    DropoutArgs<S> args = given;
    args.key = given.mask();
    args.salt = nullptr;
    if (args.rows == 1 && args.lines() == 1 && args.inner % 4 == 0) {  // the same numbers in one long run
        args.inner *= args.outer;
        args.outer = 1;
    }
    constexpr int64_t kLeast = 16384;  // elements that are worth a thread
    const int64_t tiles = dropout_groups(args.rows) * args.outer * args.lines() * dropout_columns(args.inner);
    const int64_t each = std::max<int64_t>(1, args.count() / tiles);
    auto threshold = uint32_t(std::round(args.probability * 65536));
    auto scale = Compute<S>(65536.0 / (65536.0 - threshold));
    parallel_for(tiles, (kLeast + each - 1) / each,
                 [&](int64_t begin, int64_t end) { range(args, begin, end, threshold, scale); });
}

template void dropout<float>(const DropoutArgs<float>&);
template void dropout<bfloat16>(const DropoutArgs<bfloat16>&);
template void dropout<double>(const DropoutArgs<double>&);

}  // namespace lithe::kernels

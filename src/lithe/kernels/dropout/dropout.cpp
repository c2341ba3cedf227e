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

template <class S> void dropout(const DropoutArgs<S>& salted) {
    DropoutArgs<S> args = salted;
    args.key = salted.mask(), args.salt = nullptr;
    constexpr int64_t kChunk = 4096;
    auto threshold = uint32_t(std::round(args.probability * 65536));
    auto scale = Compute<S>(65536.0 / (65536.0 - threshold));
    parallel_for((args.count + kChunk - 1) / kChunk, 4, [&](int64_t begin, int64_t end) {
        range(args, begin * kChunk, std::min(end * kChunk, args.count), threshold, scale);
    });
}

template void dropout<float>(const DropoutArgs<float>&);
template void dropout<bfloat16>(const DropoutArgs<bfloat16>&);
template void dropout<double>(const DropoutArgs<double>&);

}  // namespace lithe::kernels

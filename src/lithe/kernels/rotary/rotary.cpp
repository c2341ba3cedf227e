#include "lithe/kernels/rotary/rotary.h"

#include "lithe/base/parallel.h"
#include "lithe/kernels/rotary/rotary_rows.h"

namespace lithe::kernels {
namespace {

template <class S> void rows(const RotaryArgs<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(rotary_rows, args, begin, end)
}

}  // namespace

template <class S> void rotary(const RotaryArgs<S>& args) {
    constexpr int64_t kLeast = 16384;  // numbers that are worth a thread
    const int64_t grain = args.row > 0 ? (kLeast + args.row - 1) / args.row : 1;
    parallel_for(args.steps * args.batch, grain, [&](int64_t begin, int64_t end) { rows(args, begin, end); });
}

template void rotary<float>(const RotaryArgs<float>&);
template void rotary<bfloat16>(const RotaryArgs<bfloat16>&);
template void rotary<double>(const RotaryArgs<double>&);

}  // namespace lithe::kernels

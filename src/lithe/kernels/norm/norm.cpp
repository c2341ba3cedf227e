#include "lithe/kernels/norm/norm.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/norm/norm_rows.h"

namespace lithe::kernels {
namespace {

template <class S> void forward_rows(const NormForward<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(norm_forward_rows, args, begin, end)
}

template <class S> void backward_rows(const NormBackward<S>& args, int64_t begin, int64_t end, Compute<S>* sums) {
    LITHE_CALL_ISA(norm_backward_rows, args, begin, end, sums)
}

// Calls work(chunk, first row, end of rows) for all chunks.
template <class Work> void for_chunks(int64_t rows, const Work& work) {
    parallel_for(norm_chunks(rows), 2, [&](int64_t first, int64_t last) {
        for (int64_t chunk = first; chunk < last; ++chunk)
            work(chunk, chunk * kNormChunk, std::min(rows, (chunk + 1) * kNormChunk));
    });
}

}  // namespace

template <class S> void norm_forward(const NormForward<S>& args) {
    for_chunks(args.rows, [&](int64_t, int64_t begin, int64_t end) { forward_rows(args, begin, end); });
}

template <class S> void norm_backward(const NormBackward<S>& args) {
    const int64_t numbers = 2 * args.forward.width + 1;
    for_chunks(args.forward.rows, [&](int64_t chunk, int64_t begin, int64_t end) {
        backward_rows(args, begin, end, args.sums + chunk * numbers);
    });
}

#define LITHE_INSTANTIATE(S)                              \
    template void norm_forward<S>(const NormForward<S>&); \
    template void norm_backward<S>(const NormBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

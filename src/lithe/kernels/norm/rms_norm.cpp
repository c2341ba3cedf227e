#include "lithe/kernels/norm/rms_norm.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/norm/rms_norm_rows.h"
#include "lithe/kernels/scratch.h"

namespace lithe::kernels {
namespace {

template <class S> void forward_rows(const RmsNormForward<S>& args, int64_t begin, int64_t end, Compute<S>* scratch) {
    LITHE_CALL_ISA(rms_norm_forward_rows, args, begin, end, scratch)
}

template <class S>
void backward_rows(const RmsNormBackward<S>& args, int64_t begin, int64_t end, Compute<S>* sums, Compute<S>* scratch) {
    LITHE_CALL_ISA(rms_norm_backward_rows, args, begin, end, sums, scratch)
}

// Calls work(chunk, first row, end of rows, scratch) for all chunks.
template <class C, class Work> void for_chunks(int64_t rows, int64_t width, const Work& work) {
    parallel_for(rms_norm_chunks(rows), 2, [&](int64_t first, int64_t last) {
        C* scratch = reinterpret_cast<C*>(thread_scratch(rms_norm_scratch(width) * int64_t(sizeof(C))));
        for (int64_t chunk = first; chunk < last; ++chunk)
            work(chunk, chunk * kRmsNormChunk, std::min(rows, (chunk + 1) * kRmsNormChunk), scratch);
    });
}

}  // namespace

template <class S> void rms_norm_forward(const RmsNormForward<S>& args) {
    for_chunks<Compute<S>>(args.rows, args.width, [&](int64_t, int64_t begin, int64_t end, Compute<S>* scratch) {
        forward_rows(args, begin, end, scratch);
    });
}

template <class S> void rms_norm_backward(const RmsNormBackward<S>& args) {
    const int64_t width = args.forward.width;
    for_chunks<Compute<S>>(args.forward.rows, width,
                           [&](int64_t chunk, int64_t begin, int64_t end, Compute<S>* scratch) {
                               backward_rows(args, begin, end, args.sums + chunk * width, scratch);
                           });
}

#define LITHE_INSTANTIATE(S)                                     \
    template void rms_norm_forward<S>(const RmsNormForward<S>&); \
    template void rms_norm_backward<S>(const RmsNormBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

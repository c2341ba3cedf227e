#include "lithe/kernels/gated/gated.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/gated/gated_rows.h"
#include "lithe/kernels/scratch.h"

namespace lithe::kernels {
namespace {

int64_t panels(const GatedShape& shape, bool backward) { LITHE_CALL_ISA(gated_panels, shape, backward) }
template <class S> void pack(const GatedForward<S>& args, bool backward, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(gated_pack, args, backward, begin, end)
}
template <class S> int64_t scratch_bytes(const GatedShape& shape, int64_t rows) {
    LITHE_CALL_ISA(gated_scratch<S>, shape, rows)
}
template <class S> void forward_rows(const GatedForward<S>& args, const GatedRows& rows, char* scratch) {
    LITHE_CALL_ISA(gated_forward_rows, args, rows, scratch)
}
template <class S> void backward_rows(const GatedBackward<S>& args, const GatedRows& rows, char* scratch) {
    LITHE_CALL_ISA(gated_backward_rows, args, rows, scratch)
}

// A thread with one row alone would wait for W as long as one with two.
constexpr int64_t kFewestRows = 2;

template <class S, class F> void for_each_rows(const GatedForward<S>& args, bool backward, const F& walk) {
    const GatedShape& shape = args.shape;
    if (shape.width == 0) return;
    parallel_for(panels(shape, backward), 1, [&](int64_t begin, int64_t end) { pack(args, backward, begin, end); });
    parallel_for(shape.rows(), kFewestRows, [&](int64_t begin, int64_t end) {
        char* scratch = thread_scratch(scratch_bytes<S>(shape, std::min(kGatedRows, end - begin)));
        for (int64_t first = begin, rows = 0; first < end; first += rows) {
            const int64_t head = first / shape.batch, row = first % shape.batch;
            rows = std::min({kGatedRows, end - first, shape.batch - row});
            walk(GatedRows{head, row, rows}, scratch);
        }
    });
}

}  // namespace

template <class S> void gated_forward(const GatedForward<S>& args) {
    for_each_rows(args, false, [&](const GatedRows& rows, char* scratch) { forward_rows(args, rows, scratch); });
}

template <class S> void gated_backward(const GatedBackward<S>& args) {
    for_each_rows(args.forward, true,
                  [&](const GatedRows& rows, char* scratch) { backward_rows(args, rows, scratch); });
}

#define LITHE_INSTANTIATE(S)                                \
    template void gated_forward<S>(const GatedForward<S>&); \
    template void gated_backward<S>(const GatedBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

#include "lithe/kernels/lstm/lstm.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/lstm/lstm_rows.h"
#include "lithe/kernels/scratch.h"

namespace lithe::kernels {
namespace {

int64_t panels(int64_t width, bool backward) { LITHE_CALL_ISA(lstm_panels, width, backward) }
template <class S> void pack(const LstmForward<S>& args, bool backward, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(lstm_pack, args, backward, begin, end)
}
template <class S> int64_t scratch_bytes(int64_t width, int64_t rows) { LITHE_CALL_ISA(lstm_scratch<S>, width, rows) }
template <class S> void forward_rows(const LstmForward<S>& args, int64_t first, int64_t rows, char* scratch) {
    LITHE_CALL_ISA(lstm_forward_rows, args, first, rows, scratch)
}
template <class S> void backward_rows(const LstmBackward<S>& args, int64_t first, int64_t rows, char* scratch) {
    LITHE_CALL_ISA(lstm_backward_rows, args, first, rows, scratch)
}

// A thread with one row alone would wait for W as long as one with two.
constexpr int64_t kFewestRows = 2;

template <class S, class F> void for_each_rows(const LstmForward<S>& args, bool backward, const F& walk) {
    const int64_t width = args.shape.width;
    if (width == 0) return;
    parallel_for(panels(width, backward), 1, [&](int64_t begin, int64_t end) { pack(args, backward, begin, end); });
    parallel_for(args.shape.batch, kFewestRows, [&](int64_t begin, int64_t end) {
        char* scratch = thread_scratch(scratch_bytes<S>(width, std::min(kLstmRows, end - begin)));
        for (int64_t first = begin; first < end; first += kLstmRows)
            walk(first, std::min(kLstmRows, end - first), scratch);
    });
}

}  // namespace

template <class S> void lstm_forward(const LstmForward<S>& args) {
    for_each_rows(args, false,
                  [&](int64_t first, int64_t rows, char* scratch) { forward_rows(args, first, rows, scratch); });
}

template <class S> void lstm_backward(const LstmBackward<S>& args) {
    for_each_rows(args.forward, true,
                  [&](int64_t first, int64_t rows, char* scratch) { backward_rows(args, first, rows, scratch); });
}

#define LITHE_INSTANTIATE(S)                              \
    template void lstm_forward<S>(const LstmForward<S>&); \
    template void lstm_backward<S>(const LstmBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

#include "lithe/kernels/matrix_state/matrix_state.h"

#include "lithe/base/parallel.h"
#include "lithe/kernels/matrix_state/matrix_state_heads.h"
#include "lithe/kernels/scratch.h"

namespace lithe::kernels {
namespace {

template <class S> int64_t scratch_bytes(const MatrixStateShape& shape, bool backward) {
    LITHE_CALL_ISA(matrix_state_scratch<S>, shape, backward)
}
template <class S> void forward_heads(const MatrixStateForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    LITHE_CALL_ISA(matrix_state_forward_heads, args, begin, end, scratch)
}
template <class S> void backward_heads(const MatrixStateBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    LITHE_CALL_ISA(matrix_state_backward_heads, args, begin, end, scratch)
}

}  // namespace

template <class S> void matrix_state_forward(const MatrixStateForward<S>& args) {
    const int64_t bytes = scratch_bytes<S>(args.shape, false);
    parallel_for(args.shape.batch * args.shape.heads, 1,
                 [&](int64_t begin, int64_t end) { forward_heads(args, begin, end, thread_scratch(bytes)); });
}

template <class S> void matrix_state_backward(const MatrixStateBackward<S>& args) {
    const int64_t bytes = scratch_bytes<S>(args.forward.shape, true);
    parallel_for(args.forward.shape.batch * args.forward.shape.heads, 1,
                 [&](int64_t begin, int64_t end) { backward_heads(args, begin, end, thread_scratch(bytes)); });
}

#define LITHE_INSTANTIATE(S)                                             \
    template void matrix_state_forward<S>(const MatrixStateForward<S>&); \
    template void matrix_state_backward<S>(const MatrixStateBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

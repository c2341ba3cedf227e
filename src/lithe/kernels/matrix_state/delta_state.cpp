#include "lithe/kernels/matrix_state/delta_state.h"

#include "lithe/base/parallel.h"
#include "lithe/kernels/matrix_state/delta_state_heads.h"
#include "lithe/kernels/scratch.h"

namespace lithe::kernels {
namespace {

template <class S> int64_t scratch_bytes(const MatrixStateShape& shape, bool low_rank, bool backward) {
    LITHE_CALL_ISA(delta_state_scratch<S>, shape, low_rank, backward)
}
template <class S> void forward_heads(const DeltaStateForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    LITHE_CALL_ISA(delta_state_forward_heads, args, begin, end, scratch)
}
template <class S> void backward_heads(const DeltaStateBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    LITHE_CALL_ISA(delta_state_backward_heads, args, begin, end, scratch)
}

}  // namespace

template <class S> void delta_state_forward(const DeltaStateForward<S>& args) {
    const MatrixStateShape& shape = args.in.shape;
    const int64_t bytes = scratch_bytes<S>(shape, args.a.data, false);
    parallel_for(shape.batch * shape.heads, 1,
                 [&](int64_t begin, int64_t end) { forward_heads(args, begin, end, thread_scratch(bytes)); });
}

template <class S> void delta_state_backward(const DeltaStateBackward<S>& args) {
    const MatrixStateShape& shape = args.in.forward.shape;
    const int64_t bytes = scratch_bytes<S>(shape, args.a.data, true);
    parallel_for(shape.batch * shape.heads, 1,
                 [&](int64_t begin, int64_t end) { backward_heads(args, begin, end, thread_scratch(bytes)); });
}

#define LITHE_INSTANTIATE(S)                                           \
    template void delta_state_forward<S>(const DeltaStateForward<S>&); \
    template void delta_state_backward<S>(const DeltaStateBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

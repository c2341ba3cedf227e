// Compiled once per instruction set.
#include "lithe/kernels/matrix_state/delta_rule.h"
#include "lithe/kernels/matrix_state/low_rank.h"
#include "lithe/kernels/simd/subnormals.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

template <template <class, bool> class Walk, class S, class Args>
void run_heads(const Args& args, const MatrixStateShape& shape, int64_t begin, int64_t end, char* scratch) {
    for (int64_t task = begin; task < end; ++task) {
        if (shape.decay == StateDecay::channel) Walk<S, true>(args, task, scratch).run();
        else Walk<S, false>(args, task, scratch).run();
    }
}

}  // namespace

template <class S> int64_t delta_state_scratch(const MatrixStateShape& shape, bool low_rank, bool backward) {
    using Walk = Backward<S, false>;  // its scratch does not depend on it
    const Sizes<S> sizes(shape);
    return bytes_before<S>(shape, backward) +
           (low_rank ? LowRank<S, Walk>::bytes(sizes, backward) : Delta<S, Walk>::bytes(sizes, backward));
}

template <class S>
void delta_state_forward_heads(const DeltaStateForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    const NoSubnormals none;
    if (args.a.data) run_heads<LowRankForward, S>(args, args.in.shape, begin, end, scratch);
    else run_heads<DeltaForward, S>(args, args.in.shape, begin, end, scratch);
}

template <class S>
void delta_state_backward_heads(const DeltaStateBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    const NoSubnormals none;
    if (args.a.data) run_heads<LowRankBackward, S>(args, args.in.forward.shape, begin, end, scratch);
    else run_heads<DeltaBackward, S>(args, args.in.forward.shape, begin, end, scratch);
}

#define LITHE_INSTANTIATE(S)                                                                          \
    template int64_t delta_state_scratch<S>(const MatrixStateShape&, bool, bool);                     \
    template void delta_state_forward_heads<S>(const DeltaStateForward<S>&, int64_t, int64_t, char*); \
    template void delta_state_backward_heads<S>(const DeltaStateBackward<S>&, int64_t, int64_t, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA

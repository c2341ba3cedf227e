#include "lithe/kernels/gated/gated.h"

#include "lithe/base/parallel.h"
#include "lithe/kernels/gated/gated_rows.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kLeast = 8192;  // elements that are worth a thread

template <class S> void forward_rows(const GatedForward<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(gated_forward_rows, args, begin, end)
}
template <class S> void backward_rows(const GatedBackward<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(gated_backward_rows, args, begin, end)
}

template <class S> int64_t grain(const GatedForward<S>& args) {
    return args.inner > 0 ? (kLeast + args.inner - 1) / args.inner : 1;
}

}  // namespace

template <class S> void gated_forward(const GatedForward<S>& args) {
    parallel_for(args.rows, grain(args), [&](int64_t begin, int64_t end) { forward_rows(args, begin, end); });
}

template <class S> void gated_backward(const GatedBackward<S>& args) {
    parallel_for(args.forward.rows, grain(args.forward),
                 [&](int64_t begin, int64_t end) { backward_rows(args, begin, end); });
}

#define LITHE_INSTANTIATE(S)                                \
    template void gated_forward<S>(const GatedForward<S>&); \
    template void gated_backward<S>(const GatedBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

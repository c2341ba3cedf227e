#include "lithe/kernels/glu/glu.h"

#include "lithe/base/parallel.h"
#include "lithe/kernels/glu/glu_rows.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kLeast = 8192;  // elements that are worth a thread

template <class S> void forward_rows(const GluForward<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(glu_forward_rows, args, begin, end)
}
template <class S> void backward_rows(const GluBackward<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(glu_backward_rows, args, begin, end)
}

template <class S> int64_t grain(const GluForward<S>& args) {
    return args.inner > 0 ? (kLeast + args.inner - 1) / args.inner : 1;
}

}  // namespace

template <class S> void glu_forward(const GluForward<S>& args) {
    parallel_for(args.rows, grain(args), [&](int64_t begin, int64_t end) { forward_rows(args, begin, end); });
}

template <class S> void glu_backward(const GluBackward<S>& args) {
    parallel_for(args.forward.rows, grain(args.forward),
                 [&](int64_t begin, int64_t end) { backward_rows(args, begin, end); });
}

#define LITHE_INSTANTIATE(S)                            \
    template void glu_forward<S>(const GluForward<S>&); \
    template void glu_backward<S>(const GluBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels

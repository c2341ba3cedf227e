// The table that the program finds in liblithe_cuda.so.
#include "lithe/kernels/cuda.h"
#include "lithe/kernels/cuda_types.h"

namespace lithe::kernels::cuda {

template <class S> int recurrence_forward(const RecurrenceForward<S>&, void*);
template <class S> int recurrence_backward(const RecurrenceBackward<S>&, void*);
template <class S> int short_convolution_forward(const ShortConvolutionForward<S>&, void*);
template <class S> int short_convolution_backward(const ShortConvolutionBackward<S>&, void*);
template <class S> int diagonal_forward(const DiagonalForward<S>&, void*);
template <class S> int diagonal_backward(const DiagonalBackward<S>&, void*);
template <class S> int softmax_forward(const SoftmaxForward<S>&, void*);
template <class S> int softmax_backward(const SoftmaxBackward<S>&, void*);
template <class S> int dropout(const DropoutArgs<S>&, void*);
template <class S> int norm_forward(const NormForward<S>&, void*);
template <class S> int norm_backward(const NormBackward<S>&, void*);
template <class S> int cross_entropy_forward(const CrossEntropyArgs<S>&, void*);
template <class S> int cross_entropy_backward(const CrossEntropyArgs<S>&, void*);
template <class S> int glu_forward(const GluForward<S>&, void*);
template <class S> int glu_backward(const GluBackward<S>&, void*);
template <class S> int rotary(const RotaryArgs<S>&, void*);
template <class S> int matrix_state_forward(const MatrixStateForward<S>&, void*);
template <class S> int matrix_state_backward(const MatrixStateBackward<S>&, void*);
template <class S> int delta_state_forward(const DeltaStateForward<S>&, void*);
template <class S> int delta_state_backward(const DeltaStateBackward<S>&, void*);
template <class S> int rms_norm_forward(const RmsNormForward<S>&, void*);
template <class S> int rms_norm_backward(const RmsNormBackward<S>&, void*);
int optimizer_update(const UpdateArgs<float>&, void*);
int optimizer_update_ranges(const UpdateArgs<float>&, const UpdateRange*, int64_t, void*);
int table_update(const TableUpdate<float>&, void*);

namespace {

template <class S> CudaFunctions<S> functions() {
    return {recurrence_forward<S>,
            recurrence_backward<S>,
            short_convolution_forward<S>,
            short_convolution_backward<S>,
            diagonal_forward<S>,
            diagonal_backward<S>,
            softmax_forward<S>,
            softmax_backward<S>,
            dropout<S>,
            norm_forward<S>,
            norm_backward<S>,
            cross_entropy_forward<S>,
            cross_entropy_backward<S>,
            matrix_state_forward<S>,
            matrix_state_backward<S>,
            delta_state_forward<S>,
            delta_state_backward<S>,
            rms_norm_forward<S>,
            rms_norm_backward<S>,
            glu_forward<S>,
            glu_backward<S>,
            rotary<S>};
}

const char* error_text(int status) { return cudaGetErrorString(cudaError_t(status)); }

}  // namespace
}  // namespace lithe::kernels::cuda

extern "C" const lithe::kernels::CudaTable* lithe_cuda_table() {
    using namespace lithe::kernels;
    static const CudaTable table{kCudaTableVersion,         cuda::functions<float>(), cuda::functions<bfloat16>(),
                                 cuda::functions<double>(), cuda::optimizer_update,   cuda::optimizer_update_ranges,
                                 cuda::table_update,        cuda::error_text};
    return &table;
}

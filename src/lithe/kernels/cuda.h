// The CUDA versions of the kernels: a table of functions in liblithe_cuda.so, which is loaded at run time where a
// driver is. Pointers are device pointers; `stream` is a cudaStream_t. Every function returns a cudaError_t (0 =
// success).
#pragma once

#include "lithe/kernels/cross_entropy/cross_entropy.h"
#include "lithe/kernels/diagonal_state/diagonal_state.h"
#include "lithe/kernels/dropout/dropout.h"
#include "lithe/kernels/glu/glu.h"
#include "lithe/kernels/matrix_state/delta_state.h"
#include "lithe/kernels/matrix_state/matrix_state.h"
#include "lithe/kernels/norm/norm.h"
#include "lithe/kernels/norm/rms_norm.h"
#include "lithe/kernels/optimizer/optimizer.h"
#include "lithe/kernels/recurrence/recurrence.h"
#include "lithe/kernels/rotary/rotary.h"
#include "lithe/kernels/short_convolution/short_convolution.h"
#include "lithe/kernels/softmax/softmax.h"
#include "lithe/kernels/table/table.h"

namespace lithe::kernels {

template <class S> struct CudaFunctions {
    int (*recurrence_forward)(const RecurrenceForward<S>&, void* stream);
    int (*recurrence_backward)(const RecurrenceBackward<S>&, void* stream);
    int (*short_convolution_forward)(const ShortConvolutionForward<S>&, void* stream);
    int (*short_convolution_backward)(const ShortConvolutionBackward<S>&, void* stream);
    int (*diagonal_forward)(const DiagonalForward<S>&, void* stream);
    int (*diagonal_backward)(const DiagonalBackward<S>&, void* stream);
    int (*softmax_forward)(const SoftmaxForward<S>&, void* stream);
    int (*softmax_backward)(const SoftmaxBackward<S>&, void* stream);
    int (*dropout)(const DropoutArgs<S>&, void* stream);
    int (*norm_forward)(const NormForward<S>&, void* stream);
    int (*norm_backward)(const NormBackward<S>&, void* stream);
    int (*cross_entropy_forward)(const CrossEntropyArgs<S>&, void* stream);
    int (*cross_entropy_backward)(const CrossEntropyArgs<S>&, void* stream);
    int (*matrix_state_forward)(const MatrixStateForward<S>&, void* stream);
    int (*matrix_state_backward)(const MatrixStateBackward<S>&, void* stream);
    int (*delta_state_forward)(const DeltaStateForward<S>&, void* stream);
    int (*delta_state_backward)(const DeltaStateBackward<S>&, void* stream);
    int (*rms_norm_forward)(const RmsNormForward<S>&, void* stream);
    int (*rms_norm_backward)(const RmsNormBackward<S>&, void* stream);
    int (*glu_forward)(const GluForward<S>&, void* stream);
    int (*glu_backward)(const GluBackward<S>&, void* stream);
    int (*rotary)(const RotaryArgs<S>&, void* stream);
};

struct CudaTable {
    int version;  // kCudaTableVersion of the build
    CudaFunctions<float> f32;
    CudaFunctions<bfloat16> bf16;
    CudaFunctions<double> f64;
    int (*optimizer_update)(const UpdateArgs<float>&, void* stream);
    int (*optimizer_update_ranges)(const UpdateArgs<float>&, const UpdateRange* ranges, int64_t count, void* stream);
    int (*table_update)(const TableUpdate<float>&, void* stream);
    const char* (*error_text)(int);

    template <class S> const CudaFunctions<S>& of() const;
};
template <> inline const CudaFunctions<float>& CudaTable::of<float>() const { return f32; }
template <> inline const CudaFunctions<bfloat16>& CudaTable::of<bfloat16>() const { return bf16; }
template <> inline const CudaFunctions<double>& CudaTable::of<double>() const { return f64; }

constexpr int kCudaTableVersion = 8;

// Null until load_cuda() has succeeded; `reason` says why.
const CudaTable* cuda_table();
bool load_cuda(const char* library, const char** reason);
// A function of the loaded library; null where there is none.
void* cuda_symbol(const char* name);

}  // namespace lithe::kernels

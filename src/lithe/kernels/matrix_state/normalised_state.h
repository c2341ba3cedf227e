// The matrix_state kernel with input gates and a normaliser, on a GPU.
#pragma once

#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe::kernels::cuda {

template <class S> int normalised_forward(const MatrixStateForward<S>& args, void* stream);
template <class S> int normalised_backward(const MatrixStateBackward<S>& args, void* stream);

}  // namespace lithe::kernels::cuda

// The parts of a step that are compiled per instruction set.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/step/step.h"

namespace lithe::kernels {

// Bytes of scratch that a vector needs, a multiple of 64.
constexpr int64_t step_product_scratch(int64_t columns) { return (4 * (columns + 64) + 63) / 64 * 64; }
constexpr int64_t kStepVectors = 16;  // whose inputs stand ready together

// scratch: of min(batch, kStepVectors) vectors, aligned to 64.
LITHE_DECLARE_ISAS(template <class W>
                   void step_product_range(const StepProduct<W>& args, int64_t begin, int64_t end, char* scratch))
LITHE_DECLARE_ISAS(template <class S> void step_attend_range(const StepAttend<S>& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(void step_norm_range(const float* x, const float* gain, const float* bias, int64_t size,
                                        double epsilon, float* y))
LITHE_DECLARE_ISAS(void step_sru_range(const StepSru& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(void step_lstm_range(const StepGates& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(void step_gru_range(const StepGates& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(void step_matrix_state_range(const StepMatrixState& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels

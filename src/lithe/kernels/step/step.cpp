#include "lithe/kernels/step/step.h"

#include <algorithm>
#include <cmath>

#include "lithe/kernels/scratch.h"
#include "lithe/kernels/step/step_ranges.h"

namespace lithe::kernels {

template <class W> void step_product(const StepProduct<W>& args, int64_t begin, int64_t end) {
    char* scratch = thread_scratch(std::min(args.batch, kStepVectors) * step_product_scratch(args.columns));
    LITHE_CALL_ISA(step_product_range, args, begin, end, scratch)
}
template <class S> void step_attend(const StepAttend<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(step_attend_range, args, begin, end)
}
void step_sru(const StepSru& args, int64_t begin, int64_t end) { LITHE_CALL_ISA(step_sru_range, args, begin, end) }
void step_lstm(const StepGates& args, int64_t begin, int64_t end) { LITHE_CALL_ISA(step_lstm_range, args, begin, end) }
void step_gru(const StepGates& args, int64_t begin, int64_t end) { LITHE_CALL_ISA(step_gru_range, args, begin, end) }
void step_matrix_state(const StepMatrixState& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(step_matrix_state_range, args, begin, end)
}

template void step_product<float>(const StepProduct<float>&, int64_t, int64_t);
template void step_product<bfloat16>(const StepProduct<bfloat16>&, int64_t, int64_t);
template void step_product<int8_t>(const StepProduct<int8_t>&, int64_t, int64_t);
template void step_attend<float>(const StepAttend<float>&, int64_t, int64_t);
template void step_attend<bfloat16>(const StepAttend<bfloat16>&, int64_t, int64_t);

void merge_attention(int64_t parts, const float* highest, const float* sum, const float* out, int64_t head,
                     int64_t heads, int64_t size, float* to) {
    float top = -INFINITY, total = 0;
    for (int64_t part = 0; part < parts; ++part)
        if (sum[part * heads + head] > 0) top = std::fmax(top, highest[part * heads + head]);
    for (int64_t i = 0; i < size; ++i) to[i] = 0;
    for (int64_t part = 0; part < parts; ++part) {
        const float all = sum[part * heads + head];
        if (!(all > 0)) continue;
        const float weight = std::exp(highest[part * heads + head] - top);
        const float* from = out + (part * heads + head) * size;
        for (int64_t i = 0; i < size; ++i) to[i] += weight * from[i];
        total += weight * all;
    }
    for (int64_t i = 0; total > 0 && i < size; ++i) to[i] /= total;
}

void step_norm(const float* x, const float* gain, const float* bias, int64_t size, double epsilon, float* y) {
    LITHE_CALL_ISA(step_norm_range, x, gain, bias, size, epsilon, y)
}

}  // namespace lithe::kernels

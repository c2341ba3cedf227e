#include <cmath>

#include "lithe/base/rng.h"
#include "lithe/kernels/dropout/dropout.h"

namespace lithe::kernels {

double dropout_factor(uint64_t key, int64_t row, uint64_t index, double probability) {
    const double threshold = std::round(probability * 65536);
    const uint64_t word = random_bits(combine_key(key, uint64_t(row)), index / 4);
    const uint64_t bits = word >> (index % 4 * 16) & 0xFFFF;
    return double(bits) < threshold ? 0 : 65536 / (65536 - threshold);
}

template <class S> void dropout_ref(const DropoutArgs<S>& args) {
    const int64_t run_words = (args.inner + 3) / 4;
    int64_t at = 0;
    for (int64_t o = 0; o < args.outer; ++o)
        for (int64_t r = 0; r < args.rows; ++r)
            for (int64_t h = 0; h < args.heads; ++h)
                for (int64_t t = 0; t < args.steps; ++t)
                    for (int64_t i = 0; i < args.inner; ++i, ++at) {
                        const uint64_t word =
                            uint64_t(o * run_words) + kHeadWords * uint64_t(h) + kStepWords * uint64_t(t);
                        const double factor =
                            dropout_factor(args.mask(), args.first_row + r, 4 * word + uint64_t(i), args.probability);
                        from_compute(to_compute(args.in[at]) * Compute<S>(factor), args.out[at]);
                    }
}

template void dropout_ref<float>(const DropoutArgs<float>&);
template void dropout_ref<bfloat16>(const DropoutArgs<bfloat16>&);
template void dropout_ref<double>(const DropoutArgs<double>&);

}  // namespace lithe::kernels

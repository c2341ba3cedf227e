#include <cmath>

#include "lithe/base/rng.h"
#include "lithe/kernels/dropout/dropout.h"

namespace lithe::kernels {

double dropout_factor(uint64_t key, int64_t index, double probability) {
    double threshold = std::round(probability * 65536);
    uint64_t bits = random_bits(key, uint64_t(index) / 4) >> (uint64_t(index) % 4 * 16) & 0xFFFF;
    return double(bits) < threshold ? 0 : 65536 / (65536 - threshold);
}

template <class S> void dropout_ref(const DropoutArgs<S>& args) {
    for (int64_t i = 0; i < args.count; ++i)
        from_compute(to_compute(args.in[i]) * Compute<S>(dropout_factor(args.mask(), i, args.probability)),
                     args.out[i]);
}

template void dropout_ref<float>(const DropoutArgs<float>&);
template void dropout_ref<bfloat16>(const DropoutArgs<bfloat16>&);
template void dropout_ref<double>(const DropoutArgs<double>&);

}  // namespace lithe::kernels

#include <algorithm>
#include <cmath>
#include <limits>

#include "lithe/kernels/coded/coded.h"

namespace lithe::kernels {
namespace {

// The smallest bf16 number that is not below a positive one.
bfloat16 rounded_up(float value) {
    bfloat16 result;
    from_compute(value, result);
    if (to_compute(result) < value) ++result.bits;
    return result;
}

}  // namespace

void encode_rows_ref(const EncodeRows& a) {
    for (int64_t k = 0; k < a.count; ++k) {
        const float* x = a.from + a.rows[k] * a.width;
        int8_t* codes = a.codes + k * a.width;
        const bool finite = std::all_of(x, x + a.width, [](float each) { return std::isfinite(each); });
        float largest = 0;
        for (int64_t j = 0; j < a.width; ++j) largest = std::max(largest, std::abs(x[j]));
        std::fill_n(codes, a.width, int8_t(0));
        a.scales[k] = {};
        if (!finite) from_compute(std::numeric_limits<float>::quiet_NaN(), a.scales[k]);
        if (!finite || largest < 1e-35f) continue;
        a.scales[k] = rounded_up(largest / 127);
        for (int64_t j = 0; j < a.width; ++j) codes[j] = int8_t(std::nearbyint(x[j] / to_compute(a.scales[k])));
    }
}

void lookup_rows_ref(const LookupRows& a) {
    for (int64_t i = 0; i < a.count; ++i) {
        const int64_t k = rank_of(a.table.blocks, a.rows[i]);
        bfloat16 scale{};
        const auto* scales = static_cast<const char*>(a.table.scales);  // at any address
        if (k >= 0) __builtin_memcpy(&scale, scales + k * int64_t(sizeof scale), sizeof scale);
        for (int64_t j = 0; j < a.table.width; ++j)
            a.to[i * a.table.width + j] = k < 0 ? 0 : to_compute(scale) * float(a.table.codes[k * a.table.width + j]);
    }
}

}  // namespace lithe::kernels

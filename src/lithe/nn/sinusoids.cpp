#include "lithe/nn/sinusoids.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "lithe/ops/graph.h"

namespace lithe {
namespace {

struct Made {
    int64_t count, width, clamp;
    Tensor rows;
};

Tensor make(int64_t count, int64_t width, int64_t clamp, at::TensorOptions options) {
    const int64_t half = width / 2;
    auto exact = options.dtype(at::kDouble);
    Tensor distance = at::arange(count - 1, -1, -1, exact);
    if (clamp > 0) distance = distance.clamp_max(double(clamp));
    Tensor angle = distance.unsqueeze(1) * at::pow(10000.0, at::arange(half, exact) / -double(half));
    return at::cat({angle.sin(), angle.cos()}, 1).to(options);
}

}  // namespace

Tensor distance_sinusoids(int64_t count, int64_t width, int64_t clamp, at::TensorOptions options) {
    constexpr size_t kMost = 8;  // memory that grows makes one for each length
    static std::mutex mutex;
    static std::vector<Made> kept;
    std::lock_guard lock(mutex);
    auto found = std::find_if(kept.begin(), kept.end(), [&](const Made& each) {
        return each.count == count && each.width == width && each.clamp == clamp &&
               each.rows.scalar_type() == at::typeMetaToScalarType(options.dtype()) &&
               each.rows.device() == options.device();
    });
    if (found == kept.end()) {
        if (kept.size() == kMost) kept.erase(kept.begin());
        at::NoGradGuard no_grad;
        found = kept.insert(kept.end(), {count, width, clamp, make(count, width, clamp, options)});
    }
    ops::Graph::keep(found->rows);
    return found->rows;
}

Tensor position_sinusoids(const Tensor& positions, int64_t width, at::ScalarType type) {
    const int64_t half = width / 2;
    const auto options = at::TensorOptions(at::kDouble).device(positions.device());
    const Tensor rate = at::pow(10000.0, at::arange(half, options) / -double(half));
    const Tensor angle = positions.to(at::kDouble).unsqueeze(-1) * rate;
    return at::cat({angle.sin(), angle.cos()}, -1).to(type);
}

}  // namespace lithe

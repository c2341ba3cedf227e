#include "lithe/train/muon.h"

#include <algorithm>
#include <cmath>

#include "lithe/kernels/isa.h"

namespace lithe {

Tensor orthogonalize(const Tensor& u_NRC, at::ScalarType compute) {
    constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
    constexpr int kIterations = 5;
    const bool tall = u_NRC.size(1) > u_NRC.size(2);
    Tensor length = u_NRC.norm(at::Scalar(2), at::IntArrayRef({1, 2}), true) + 1e-7;
    Tensor x = (u_NRC / length).to(compute);
    for (int i = 0; i < kIterations; ++i) {
        Tensor gram = tall ? at::bmm(x.transpose(1, 2), x) : at::bmm(x, x.transpose(1, 2));
        Tensor polynomial = at::baddbmm(gram, gram, gram, b, c);
        x = tall ? at::baddbmm(x, x, polynomial, a) : at::baddbmm(x, polynomial, x, a);
    }
    return x;
}

Muon::Muon(const OptimizerConfig& config, const ParameterStore& store, bool hold_untouched)
    : config_(config),
      store_(store),
      hold_untouched_(hold_untouched) {
    for (size_t i = 0; i < store.size(); ++i) {
        const ParameterSpec& spec = store.spec(i);
        if (!takes(spec)) continue;
        const int64_t rows = spec.shape[0] / spec.stacked, columns = spec.shape[1];
        auto group = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const Group& each) { return each.rows == rows && each.columns == columns; });
        if (group == groups_.end()) group = groups_.insert(groups_.end(), Group{rows, columns, {}});
        group->parameters.push_back(i);
    }
}

void Muon::step(const Tensor& m, double learning_rate, double gradient_scale) {
    for (Group group : groups_) {
        if (hold_untouched_) std::erase_if(group.parameters, [&](size_t i) { return !store_.touched(i); });
        if (!group.parameters.empty()) step(group, m, learning_rate, gradient_scale);
    }
}

void Muon::step(const Group& group, const Tensor& m, double learning_rate, double gradient_scale) {
    const double mu = config_.muon_momentum;
    std::vector<Tensor> directions;
    for (size_t i : group.parameters) {
        Tensor mean = store_.master_view(m, i), gradient = store_.gradient(i);
        mean.mul_(mu).add_(gradient, gradient_scale * (1 - mu));
        directions.push_back(
            at::add(mean * mu, gradient, gradient_scale * (1 - mu)).view({-1, group.rows, group.columns}));
    }
    const bool bf16 = m.scalar_type() == at::kFloat && (m.is_cuda() || kernels::has_bf16_products());
    Tensor orthogonal = orthogonalize(at::cat(directions), bf16 ? at::kBFloat16 : m.scalar_type());
    const double rows = double(group.rows), columns = double(group.columns);
    const double scale = config_.muon_scale == "rms" ? 0.2 * std::sqrt(std::max(rows, columns))
                                                     : std::sqrt(std::max(1.0, rows / columns));
    int64_t at = 0;
    for (size_t i : group.parameters) {
        const int64_t count = store_.spec(i).stacked;
        Tensor weight = store_.master(i);
        weight.mul_(1 - learning_rate * config_.weight_decay)
            .sub_(orthogonal.narrow(0, at, count).view(weight.sizes()), learning_rate * scale);
        if (store_.has_copy(i)) store_.master_view(store_.working_flat(), i).copy_(weight);
        at += count;
    }
}

}  // namespace lithe

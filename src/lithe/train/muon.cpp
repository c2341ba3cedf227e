#include "lithe/train/muon.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "lithe/kernels/isa.h"
#include "lithe/ops/side_by_side.h"

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
        if (!takes(spec) || !store.flat(i)) continue;
        const int64_t rows = spec.shape[0] / spec.stacked, columns = spec.shape[1];
        auto group = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const Group& each) { return each.rows == rows && each.columns == columns; });
        if (group == groups_.end()) group = groups_.insert(groups_.end(), Group{rows, columns, {}});
        group->parameters.push_back(i);
    }
}

int64_t Muon::matrices(const Group& group) const {
    int64_t count = 0;
    for (size_t i : group.parameters) count += store_.spec(i).stacked;
    return count;
}

std::vector<Muon::Piece> Muon::pieces(const Group& group, int64_t first, int64_t count) const {
    std::vector<Piece> pieces;
    int64_t at = 0;
    for (size_t i : group.parameters) {
        const int64_t stacked = store_.spec(i).stacked, begin = std::max(first, at),
                      end = std::min(first + count, at + stacked);
        if (begin < end) pieces.push_back({i, begin - at, end - begin});
        at += stacked;
    }
    return pieces;
}

// One share, for all threads together, where the threads would not end together.
Muon::Shares Muon::share_out(const std::vector<Group>& groups, int64_t threads) const {
    constexpr double kUneven = 1.15;
    Shares shares(size_t(threads), std::vector<int64_t>(groups.size()));
    std::vector<double> loads(size_t(threads), 0);
    double all_loads = 0;
    for (size_t g = 0; g < groups.size(); ++g) {
        const Group& group = groups[g];
        const double short_side = double(std::min(group.rows, group.columns));
        const double long_side = double(std::max(group.rows, group.columns));
        const double each = short_side * short_side * (2 * long_side + short_side);
        const int64_t count = matrices(group);
        all_loads += each * double(count);
        for (size_t t = 0; t < shares.size(); ++t) {
            shares[t][g] = count / threads;
            loads[t] += each * double(count / threads);
        }
        for (int64_t rest = count % threads; rest > 0; --rest) {
            const auto least = size_t(std::min_element(loads.begin(), loads.end()) - loads.begin());
            ++shares[least][g];
            loads[least] += each;
        }
    }
    const double longest = *std::max_element(loads.begin(), loads.end());
    return threads == 1 || longest * double(threads) <= kUneven * all_loads ? shares : share_out(groups, 1);
}

void Muon::step(const Tensor& m, double learning_rate, double gradient_scale) {
    std::vector<Group> groups;
    for (Group group : groups_) {
        if (hold_untouched_) std::erase_if(group.parameters, [&](size_t i) { return !store_.touched(i); });
        if (!group.parameters.empty()) groups.push_back(std::move(group));
    }
    const Shares shares = share_out(groups, m.is_cuda() ? 1 : at::get_num_threads());
    ops::side_by_side(int64_t(shares.size()), [&](int64_t thread) {
        for (size_t g = 0; g < groups.size(); ++g) {
            int64_t first = 0;
            for (int64_t before = 0; before < thread; ++before) first += shares[size_t(before)][g];
            const int64_t count = shares[size_t(thread)][g];
            if (count > 0) step(groups[g], pieces(groups[g], first, count), m, learning_rate, gradient_scale);
        }
    });
}

void Muon::step(const Group& group, const std::vector<Piece>& pieces, const Tensor& m, double learning_rate,
                double gradient_scale) const {
    const at::NoGradGuard no_grad;
    const double mu = config_.muon_momentum;
    auto part = [&](const Tensor& flat, const Piece& piece) {
        const int64_t size = group.rows * group.columns;
        return flat.narrow(0, store_.offset(piece.parameter) + piece.first * size, piece.count * size)
            .view({piece.count, group.rows, group.columns});
    };
    std::vector<Tensor> directions;
    for (const Piece& piece : pieces) {
        Tensor mean = part(m, piece), gradient = part(store_.gradient_flat(), piece);
        mean.mul_(mu).add_(gradient, gradient_scale * (1 - mu));
        directions.push_back(at::add(mean * mu, gradient, gradient_scale * (1 - mu)));
    }
    const bool bf16 = m.scalar_type() == at::kFloat && (m.is_cuda() || kernels::has_bf16_products());
    Tensor orthogonal = orthogonalize(at::cat(directions), bf16 ? at::kBFloat16 : m.scalar_type());
    const double rows = double(group.rows), columns = double(group.columns);
    const double scale = config_.muon_scale == MuonScale::rms ? 0.2 * std::sqrt(std::max(rows, columns))
                                                              : std::sqrt(std::max(1.0, rows / columns));
    int64_t at = 0;
    for (const Piece& piece : pieces) {
        Tensor weight = part(store_.master_flat(), piece);
        weight.mul_(1 - learning_rate * config_.weight_decay)
            .sub_(orthogonal.narrow(0, at, piece.count), learning_rate * scale);
        if (store_.has_copy(piece.parameter)) part(store_.working_flat(), piece).copy_(weight);
        at += piece.count;
    }
}

}  // namespace lithe

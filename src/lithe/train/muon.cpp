#include "lithe/train/muon.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>

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
        if (!takes(spec)) continue;
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

// How many matrices of each group every thread takes, [group][thread]; false where the threads would not end together.
bool Muon::share_out(const std::vector<Group>& groups, int64_t threads,
                     std::vector<std::vector<int64_t>>& counts) const {
    constexpr double kUneven = 1.15;
    std::vector<double> loads(size_t(threads), 0);
    for (const Group& group : groups) {
        const double less = double(std::min(group.rows, group.columns)),
                     more = double(std::max(group.rows, group.columns)), each = less * less * (2 * more + less);
        const int64_t all = matrices(group);
        std::vector<int64_t>& count = counts.emplace_back(size_t(threads), all / threads);
        for (double& load : loads) load += each * double(all / threads);
        for (int64_t rest = all % threads; rest > 0; --rest) {
            const auto least = size_t(std::min_element(loads.begin(), loads.end()) - loads.begin());
            ++count[least];
            loads[least] += each;
        }
    }
    const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
    return *std::max_element(loads.begin(), loads.end()) * double(threads) <= kUneven * sum;
}

void Muon::step(const Tensor& m, double learning_rate, double gradient_scale) {
    std::vector<Group> groups;
    for (Group group : groups_) {
        if (hold_untouched_) std::erase_if(group.parameters, [&](size_t i) { return !store_.touched(i); });
        if (!group.parameters.empty()) groups.push_back(std::move(group));
    }
    const int64_t threads = m.is_cuda() ? 1 : at::get_num_threads();
    std::vector<std::vector<int64_t>> counts;
    if (threads == 1 || groups.empty() || !share_out(groups, threads, counts)) {
        for (const Group& group : groups)
            step(group, pieces(group, 0, matrices(group)), m, learning_rate, gradient_scale);
        return;
    }
    ops::side_by_side(threads, [&](int64_t thread) {
        for (size_t g = 0; g < groups.size(); ++g) {
            const auto before = counts[g].begin();
            const int64_t first = std::accumulate(before, before + thread, int64_t(0)), count = before[thread];
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
    const double scale = config_.muon_scale == "rms" ? 0.2 * std::sqrt(std::max(rows, columns))
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

// Muon: momentum whose updates are made orthogonal (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
// networks"). For every hidden matrix, rows x columns:
//
//   m <- m + (1 - mu) (g - m),  u = g + mu (m - g)            mean with a Nesterov look ahead
//   O  = NewtonSchulz5(u)                                     singular values near 1, same singular vectors
//   w <- w (1 - lr wd) - lr scale O                           scale = sqrt(max(1, rows / columns)), or Moonshot's
//                                                             0.2 sqrt(max(rows, columns)) (Liu et al. 2025)
//
// Matrices that stand stacked in one parameter (gates, keys and values) are made orthogonal one by one. Embeddings, the
// head, norms and biases are not Muon's.
#pragma once

#include <vector>

#include "lithe/nn/parameters.h"
#include "lithe/spec/config.h"

namespace lithe {

// X <- a X + (b A + c A A) X with A = X X^T, five times, from X = u / |u|, (a, b, c) = (3.4445, -4.7750, 2.0315), over
// the shorter side. u_NRC: N matrices; the result has their shape and the type `compute`. Singular values of 0.003 to 1
// times |u| come out within [0.68, 1.2025]; smaller ones stay below.
Tensor orthogonalize(const Tensor& u_NRC, at::ScalarType compute);

class Muon {
 public:
    Muon(const OptimizerConfig& config, const ParameterStore& store, bool hold_untouched = false);
    static bool takes(const ParameterSpec& spec) { return spec.role == Role::matrix && spec.shape.size() == 2; }
    // One update from the store's collected gradient times `gradient_scale`; m lies as the store's masters do.
    void step(const Tensor& m, double learning_rate, double gradient_scale);

 private:
    // Matrices of one shape, which are worked on in one batch: each parameter's, stacked or not, in order.
    struct Group {
        int64_t rows = 0, columns = 0;
        std::vector<size_t> parameters;
    };
    // Some of a parameter's stacked matrices.
    struct Piece {
        size_t parameter;
        int64_t first, count;
    };
    int64_t matrices(const Group& group) const;
    std::vector<Piece> pieces(const Group& group, int64_t first, int64_t count) const;
    using Shares = std::vector<std::vector<int64_t>>;  // [thread][group]: matrices
    Shares share_out(const std::vector<Group>& groups, int64_t threads) const;
    void step(const Group& group, const std::vector<Piece>& pieces, const Tensor& m, double learning_rate,
              double gradient_scale) const;

    OptimizerConfig config_;
    const ParameterStore& store_;
    bool hold_untouched_;
    std::vector<Group> groups_;
};

}  // namespace lithe

// RWKV-7's time mix (Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic State Evolution", section 3; the layer of
// flash-linear-attention, fla/layers/rwkv7.py):
//
//   x^i = x + (x_{t-1} - x) mu_i for six i        r = x^r W_r^T, k = x^k W_k^T, v = x^v W_v^T
//   g = -e^{-1/2} sigmoid(tanh(x^w W_1^T) W_2^T + b)        a = sigmoid(x^a W_3^T W_4^T + b_a)
//   v += (v_first - v) sigmoid(x^v W_5^T W_6^T + b_v), v_first that of the first such layer, which has no W_5 and W_6
//   kappa = k k_k of length one for each head        k <- k (1 + (a - 1) k_a)
//   S_t = diag(e^g) S_{t-1} - (a kappa) (S_{t-1}^T kappa)^T + k v^T        o = S_t^T r
//   o <- group_norm_of_heads(o) + (sum of r k r_k) v        delta = (o sigmoid(x^g W_7^T) W_8^T) W_o^T
//
// What is removed is read before the decay: the kernel's a is kappa e^{-g}, at most 1.84 kappa.
#pragma once

#include "lithe/blocks/layer_place.h"
#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"

namespace lithe {

// The first layer's values [T][B][D].
inline constexpr BagKey kFirstValues{"the first layer's values"};

struct Rwkv7Values {
    int64_t heads = 1;
    int64_t decay_rank = 32, rate_rank = 32, value_rank = 32, gate_rank = 32;
    static Rwkv7Values defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class Rwkv7Block : public Block {
 public:
    Rwkv7Block(const Rwkv7Values& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    std::vector<BagKey> recalls() const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    // A product through few numbers, with a function in between.
    struct LowRank {
        Parameter in, out, bias;
        Tensor operator()(const Tensor& x, Tensor (*between)(const Tensor&)) const;
        explicit operator bool() const { return bool(in); }
    };
    LowRank low_rank(const BlockSite& site, const char* name, int64_t rank, const std::vector<double>& bias) const;
    Tensor values(const Tensor& v, const Tensor& x, const Call& call, Bag& bag) const;
    Tensor put_out(const Tensor& mixed, const ops::MatrixStateInput& in, const Tensor& gate) const;

    Rwkv7Values values_;
    int64_t width_;
    double norm_epsilon_;
    MatrixStateCell cell_;
    Parameter shift_, receptance_, key_, value_, key_scale_, key_rate_, bonus_, norm_gain_, norm_bias_, out_;
    LowRank decay_, rate_, value_mix_, gate_;
};

}  // namespace lithe

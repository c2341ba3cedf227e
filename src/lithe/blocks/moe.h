// A mixture of experts: feed-forward layers of which a router chooses one or two for each token (Fedus et al. 2022,
// "Switch Transformers", section 2; two experts: Lepikhin et al. 2021, "GShard", section 2.2).
//
//   p = softmax(x W_r^T)      y = sum over the chosen e of  g_e E_e(x)
//
// One expert: g = p_e. Two: their p, divided by the sum of both. The router computes in fp32.
//
// In training an expert takes at most C = ceil(top T / E x capacity) tokens of a row of T, the first ones; who comes
// late passes by (delta 0). Rows are groups of their own, so that nothing depends on how a batch is cut, and no token
// on a later one. Outside training, and with capacity 0, nobody is turned away.
//
// Losses, for each block: balance x E x sum over e of f_e P_e, with f_e the share of a row's tokens whose first choice
// is e and P_e its mean p_e, the mean over rows (Switch, equation 4); z_loss x the mean of logsumexp(x W_r^T)^2 (Zoph
// et al. 2022, "ST-MoE", equation 5). Positions that are padding count nowhere.
#pragma once

#include "lithe/blocks/feed_forward.h"

namespace lithe {

struct MoeValues {
    FeedForwardValues expert;
    int64_t experts = 8, top = 1;
    double capacity = 1.25, balance = 0.01, z_loss = 0.001, jitter = 0.01;
    static MoeValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

// What a router decides of the N tokens of a batch, in the order of x_TBD's rows.
struct Routing {
    Tensor probabilities_NE, logits_NE;
    Tensor experts_NK;  // int64: choices, best first
    Tensor gates_NK;
    Tensor kept_NK;   // bool: false where the expert was full, and of padding
    Tensor valid_TB;  // bool: false where padding stands
};

class MoeBlock : public Block {
 public:
    MoeBlock(const MoeValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

    Routing route(const Tensor& x_TBD, const Call& call) const;

 private:
    Tensor jittered(const Tensor& x_TBD, const Call& call) const;
    // Every expert's tokens through it, and back to their places.
    Tensor experts_of(const Tensor& x_TBD, const Routing& routing, const Call& call) const;
    // Losses, the share of tokens whose first choice each expert is, and that of choices turned away.
    void add_aux(const Routing& routing, Aux& aux) const;

    MoeValues values_;
    std::string name_;
    int64_t width_;
    Parameter router_;
    std::vector<std::unique_ptr<FeedForwardBlock>> experts_;
};

// At most so many tokens of a row of `length` go to one expert.
int64_t expert_capacity(const MoeValues& values, int64_t length);
// kept_NK of choices [T][B][K], those of tokens that are not `valid_TB` left out: an expert takes the first `capacity`
// of each row; 0: all. [T][B][K] bool.
Tensor kept_choices(const Tensor& experts_TBK, const Tensor& valid_TB, int64_t experts, int64_t capacity);
// Of probabilities [T][B][E] and first choices [T][B], where valid: E x sum of f_e P_e, the mean over rows.
Tensor balance_loss(const Tensor& probabilities_TBE, const Tensor& first_TB, const Tensor& valid_TB);

}  // namespace lithe

// Position-wise feed-forward block (Vaswani et al. 2017, section 3.3): delta = g(x W1^T + b1) W2^T + b2.
#pragma once

#include "lithe/blocks/options.h"

namespace lithe {

enum class FeedForwardActivation { gelu, relu };
constexpr auto names_of(FeedForwardActivation) {
    using enum FeedForwardActivation;
    return std::to_array<Named<FeedForwardActivation>>({{gelu, "gelu"}, {relu, "relu"}});
}

struct FeedForwardValues {
    int64_t inner = 0;
    FeedForwardActivation activation = FeedForwardActivation::gelu;
    bool bias = true;
    double dropout = 0;
    static FeedForwardValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class FeedForwardBlock : public Block {
 public:
    FeedForwardBlock(const FeedForwardValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    FeedForwardValues values_;
    int64_t width_;
    Parameter w1_, b1_, w2_, b2_;
};

}  // namespace lithe

// Position-wise feed-forward block: delta = a(x W1^T + b1) W2^T + b2 (Vaswani et al. 2017, section 3.3), or with a
// gated unit, delta = (act(x W_g^T) * (x W_u^T)) W2^T (Shazeer 2020), W_g and W_u stacked in one parameter, w1.
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/kernels/glu/glu.h"

namespace lithe {

enum class FeedForwardActivation { gelu, gelu_tanh, relu, squared_relu, glu, swiglu, geglu, reglu };
constexpr auto names_of(FeedForwardActivation) {
    using enum FeedForwardActivation;
    return std::to_array<Named<FeedForwardActivation>>({{gelu, "gelu"},
                                                        {gelu_tanh, "gelu_tanh"},
                                                        {relu, "relu"},
                                                        {squared_relu, "squared_relu"},
                                                        {glu, "glu"},
                                                        {swiglu, "swiglu"},
                                                        {geglu, "geglu"},
                                                        {reglu, "reglu"}});
}

struct FeedForwardValues {
    int64_t inner = 0;
    FeedForwardActivation activation = FeedForwardActivation::gelu;
    bool bias = true;
    double dropout = 0;
    static FeedForwardValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string&, Problems&) const {}
    // Nullopt: the activation has no gate.
    std::optional<kernels::GluGate> gate() const;
};

class FeedForwardBlock : public Block {
 public:
    FeedForwardBlock(const FeedForwardValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;
    // Both products of rows [...][D], and between them what `dropped` makes of the inner layer.
    Tensor formula(const Tensor& x_xD, const std::function<Tensor(const Tensor& inner)>& dropped) const;

 private:
    Tensor activated(const Tensor& inner) const;
    // Products into the inner layer: two with a gate.
    int64_t planes() const { return values_.gate() ? 2 : 1; }
    FeedForwardValues values_;
    int64_t width_;
    Parameter w1_, w2_, b1_, b2_;
};

}  // namespace lithe

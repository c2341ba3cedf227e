// Boom, SHA-RNN's feed-forward without a second matrix (Merity 2019, "Single Headed Attention RNN: Stop Thinking With
// Your Head", section 3.3; Smerity/sha-rnn, model.py):
//
//   y = norm(x) + dropout(sum of the `expansion` parts, d wide, of dropout(g(norm'(x) W^T + b)))      g(z) = z s(1.702
//   z)
//
// W [expansion d][d]. Two norms of the same x: one for the skip, which the block adds itself, and one for the product.
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/nn/norm.h"

namespace lithe {

constexpr double kShaNormEpsilon = 1e-12;
// Standard deviation of SHA-RNN's products, times the root of the width.
constexpr double kShaDeviation = 0.1;

struct BoomValues {
    int64_t expansion = 4;
    double dropout = 0;
    static BoomValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class BoomBlock : public Block {
 public:
    BoomBlock(const BoomValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    BoomValues values_;
    int64_t width_;
    LayerNorm norm_skip_, norm_;
    Parameter w_, bias_;
};

}  // namespace lithe

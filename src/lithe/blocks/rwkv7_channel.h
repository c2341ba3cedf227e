// RWKV-7's channel mix (Peng et al. 2025, section 3.3; fla/models/rwkv7), a feed-forward that sees the token before:
//
//   delta = relu((x + (x_{t-1} - x) mu) W_k^T)^2 W_v^T
#pragma once

#include "lithe/blocks/layer_place.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct Rwkv7ChannelValues {
    int64_t inner = 0;
    static Rwkv7ChannelValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class Rwkv7ChannelBlock : public Block {
 public:
    Rwkv7ChannelBlock(const Rwkv7ChannelValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_, inner_;
    Parameter shift_, key_, value_;
};

}  // namespace lithe

// Multi-head attention over another sequence: queries from x, keys and values from an encoder's output (Vaswani et al.
// 2017, section 3.2.3).
//
//   Q = x W_q^T    [K, V] = source W_kv^T    delta = concat_h softmax(Q_h K_h^T / sqrt(d/H) + padding) V_h W_o^T
//
// Keys and values are made once for each source: outside training they stay in the state ("source" [S][B][2d], and
// "source_padding" [B][S] where some positions are), and a call whose bag has no source takes those.
#pragma once

#include "lithe/blocks/attention_projections.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct CrossAttentionValues {
    int64_t heads = 1;
    bool bias = false;
    double attention_dropout = 0;
    AttentionInit init = AttentionInit::xavier;
    static CrossAttentionValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class CrossAttentionBlock : public Block {
 public:
    CrossAttentionBlock(const CrossAttentionValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    State skip(const Tensor&, const State& state, const Call&) const override { return state; }
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    CrossAttentionValues values_;
    int64_t width_, source_width_;
    StackedProjection query_, key_value_, out_;
};

}  // namespace lithe

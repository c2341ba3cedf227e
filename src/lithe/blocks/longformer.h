// Longformer's attention (Beltagy et al. 2020, section 3): a window on both sides, some of whose heads may be dilated,
// and global tokens, which see all and are seen by all. Causal, as in the paper's language model, it looks back alone
// and has no global tokens.
//
//   local query i    keys i + k s, -w <= k <= w, that are not global, and all global ones; one softmax over both
//   global query     all keys; its query and what it sees have projections of their own, Q_g, K_g, V_g
//
// The first `global_tokens` positions of a segment are global. The two sets of projections start apart, as in
// transformers' model from scratch.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

struct LongformerValues : PatternedValues {
    int64_t window = 256;
    int64_t dilation = 1;
    int64_t dilated_heads = 0;
    int64_t global_tokens = 0;
    static LongformerValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class LongformerBlock : public PatternedBlock {
 public:
    LongformerBlock(const LongformerValues& values, const BlockSite& site);
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 protected:
    Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                    const Call& call) const override;
    double pairs(const CostShape& shape) const override;
    int64_t parts() const override { return values_.global_tokens > 0 ? 2 : 1; }

 private:
    // Of heads with this dilation.
    Tensor local(const ops::AttentionInput& in, int64_t dilation) const;
    Tensor all_local(const ops::AttentionInput& in) const;
    Tensor global(const ops::AttentionInput& in, const Tensor& x_TBD, int64_t count, const Call& call) const;
    int64_t undilated_heads() const { return values_.dilated_heads > 0 ? heads_ - values_.dilated_heads : 0; }
    LongformerValues values_;
    StackedProjection global_query_, global_key_value_;
};

}  // namespace lithe

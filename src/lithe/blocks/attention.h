// Multi-head self-attention with memory (Vaswani et al. 2017, section 3.2; memory as in Transformer-XL, Dai et al.
// 2019, section 3.2): causal or bidirectional, absolute positions are added at the embedding. Relative positions:
// blocks/relative_attention.h.
//
//   [Q, K, V] = x W_q^T, [Mem; x] W_k^T, [Mem; x] W_v^T     delta = concat_h softmax(Q_h K_h^T / sqrt(d/H) + mask) V_h
//   W_o^T                                                   W_q, W_k, W_v stand stacked in one parameter, qkv
#pragma once

#include "lithe/blocks/attention_memory.h"
#include "lithe/blocks/attention_projections.h"
#include "lithe/blocks/options.h"

namespace lithe {

// Of keys; absolute ones may be added at the embedding.
enum class KeyPositions { none, relative };
constexpr auto names_of(KeyPositions) {
    using enum KeyPositions;
    return std::to_array<Named<KeyPositions>>({{none, "none"}, {relative, "relative"}});
}

struct AttentionValues {
    int64_t heads = 1;
    bool bias = false;
    double attention_dropout = 0;
    KeyPositions positions = KeyPositions::none;
    int64_t clamp_length = 0;
    bool tie_position_biases = true;
    AttentionInit init = AttentionInit::xavier;
    Init matrix_init(int64_t width) const;
    static AttentionValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class AttentionBlock : public Block {
 public:
    AttentionBlock(const AttentionValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    State skip(const Tensor& x_TBD, const State& state, const Call& call) const override {
        return skipped_attention(x_TBD, state, call);
    }
    double flops_per_token(const CostShape& shape) const override;
    double flops_without_input_gradient(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    AttentionValues values_;
    int64_t width_;
    StackedProjection qkv_, out_;
};

// The block that `positions` asks for.
std::unique_ptr<Block> make_attention(const BlockOptions& options, const BlockSite& site);

}  // namespace lithe

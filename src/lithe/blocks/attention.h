// Multi-head self-attention with memory (Vaswani et al. 2017, section 3.2; memory as in Transformer-XL, Dai et al.
// 2019, section 3.2): causal or bidirectional, absolute positions are added at the embedding. Relative positions:
// blocks/relative_attention.h.
//
//   [Q, K, V] = x W_q^T, [Mem; x] W_k^T, [Mem; x] W_v^T
//   delta = concat_h softmax(Q_h K_h^T / sqrt(d/H) + mask) V_h W_o^T
//
// W_q, W_k, W_v stand stacked in one parameter, qkv. What a Transformer of today has beside:
//
//   rotary positions      Q_h and K_h are turned by their positions before the product (Su et al. 2021)
//   ALiBi positions       scores lose slope_h times the distance of query and key (Press et al. 2022; slopes of heads
//                         that are no power of two as in transformers' BLOOM)
//   key_value_heads       H / key_value_heads neighbouring heads of queries share one of keys and values (Ainslie et
//                         al. 2023); parameters are then query, and key_value for the other two
//   window                a query sees the newest so many keys, itself among them (Beltagy et al. 2020, section 3.1)
//   query_key_norm        Q_h and K_h go through an RMS norm before they are turned (Dehghani et al. 2023; Henry et al.
//                         2020)
//   soft_cap              scores s become cap tanh(s / cap), before slopes and mask (Gemma 2)
//   sinks                 each head's denominator has exp(sink_h) more, a learned number (gpt-oss)
//   forget_gate           scores gain the sum of log sigmoid(w_h . x_l + b_h) over l = j + 1 ... i (Lin et al. 2025,
//   the
//                         Forgetting Transformer), behind cap and slopes: a number of the key, as softmax sees it
//   gated                 concat_h(...) is multiplied by sigmoid(x W_g^T), before W_o (Qiu et al. 2025)
#pragma once

#include "lithe/blocks/attention_memory.h"
#include "lithe/blocks/attention_projections.h"
#include "lithe/blocks/options.h"
#include "lithe/ops/rotary.h"

namespace lithe {

// Of keys; absolute ones may be added at the embedding.
enum class KeyPositions { none, relative, rotary, alibi };
constexpr auto names_of(KeyPositions) {
    using enum KeyPositions;
    return std::to_array<Named<KeyPositions>>(
        {{none, "none"}, {relative, "relative"}, {rotary, "rotary"}, {alibi, "alibi"}});
}

struct AttentionValues {
    int64_t heads = 1;
    bool bias = false;
    double attention_dropout = 0;
    KeyPositions positions = KeyPositions::none;
    int64_t clamp_length = 0;
    bool tie_position_biases = true;
    double rotary_base = 10000, rotary_share = 1;
    int64_t key_value_heads = 0;  // 0: as many as heads
    int64_t window = 0;           // 0: none
    bool query_key_norm = false;
    double soft_cap = 0;  // 0: none
    bool sinks = false;
    bool forget_gate = false;
    bool gated = false;
    AttentionInit init = AttentionInit::xavier;
    Init matrix_init(int64_t width) const;
    int64_t kept_heads() const { return key_value_heads > 0 ? key_value_heads : heads; }
    // Queries share keys and values.
    bool grouped() const { return kept_heads() != heads; }
    static AttentionValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;

 private:
    void check_rotary(const ModelConfig& model, const std::string& where, Problems& problems) const;
    void check_relative(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class AttentionBlock : public Block {
 public:
    AttentionBlock(const AttentionValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    State skip(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double flops_without_input_gradient(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    // A pass, or a cost's shape, whose memory is what a window sees of it.
    template <class T> T windowed(T all) const {
        if (values_.window > 0) all.memory = std::min(all.memory, values_.window - 1);
        return all;
    }
    int64_t head_size() const { return width_ / values_.heads; }
    int64_t kept_width() const { return values_.kept_heads() * head_size(); }
    ops::Rotary rotary() const;
    // What heads make of queries, keys and values.
    Tensor attended(ops::AttentionInput in) const;
    // Keys and values [S][B][2 kept width] of inputs, as they are remembered.
    Tensor keys_values(const Tensor& x_SBD) const;
    Tensor with_normed_keys(const Tensor& kv_SBX) const;
    struct Projected {
        Tensor q_TBP, kv_TBX;
        Tensor packed_TBX;  // both side by side, as one product made them; undefined: they were changed
    };
    Projected project(const Tensor& x_TBD) const;
    // Logarithms of gates [S][B][H] of inputs, in the type of sums.
    Tensor log_gates(const Tensor& x_SBD) const;
    // `earlier`: of the memory, undefined for none.
    void put_forgetting(ops::AttentionInput& in, const Tensor& earlier_MBH, const Tensor& now_TBH) const;
    // Those with as many heads as queries have, keys turned by positions from `first` on; undefined stays so.
    Tensor placed(const Tensor& kv_SBX, int64_t first) const;
    // `before`: keys of the memory.
    ops::AttentionInput input(const Projected& projected, int64_t before) const;
    AttentionValues values_;
    int64_t width_;
    StackedProjection qkv_, query_, key_value_, forget_, gate_, out_;  // qkv, or query and key_value
    RmsNorm query_norm_, key_norm_;
    Parameter sinks_;
};

// ALiBi's slopes of so many heads.
Tensor alibi_slopes(int64_t heads, at::TensorOptions options);

// The block that `positions` asks for.
std::unique_ptr<Block> make_attention(const BlockOptions& options, const BlockSite& site);

}  // namespace lithe

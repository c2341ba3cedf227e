// SHA-RNN's block (Merity 2019, "Single Headed Attention RNN: Stop Thinking With Your Head", section 3;
// Smerity/sha-rnn, model.py): an LSTM, one head of attention whose keys and values are gated by vectors alone, and a
// boom.
//
//   h = dropout(lstm(norm(x)))                               the output replaces x
//   m = norm(h), h = norm'(h)                                with `attention`; memory and segment: M = [memory; m]
//   q = s(s_q) norm(h W_q^T + b_q)         k = s(s_k) M         v = g M, g = s(A) tanh(C), [C; A] = W_v s(s_v) + b_v
//   h = h + dropout(softmax(q k^T / sqrt(d)) v)
//   y = boom(h)                                              blocks/boom.h
//
// g does not depend on the input. s_q, s_k, s_v [d] start at 0. Dropout falls on q, v and the softmax, too. The memory
// holds m as it was made, without gradient; M itself stands for keys and values, its gates beside q and the result.
#pragma once

#include <memory>

#include "lithe/blocks/boom.h"
#include "lithe/blocks/gated_weights.h"

namespace lithe {

struct ShaValues {
    bool attention = true;
    int64_t expansion = 4;
    double dropout = 0;
    static ShaValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class ShaBlock : public Block {
 public:
    ShaBlock(const ShaValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double flops_without_input_gradient(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    void add_attention(const BlockSite& site);
    Tensor dropped(const Tensor& x, const char* place, const Call& call) const;
    Tensor recur(const Tensor& x_TBD, const State& state, const Call& call, State& after) const;
    Tensor attend(const Tensor& h_TBD, const State& state, const Call& call, State& after) const;

    ShaValues values_;
    int64_t width_;
    LayerNorm norm_, norm_memory_, norm_middle_, norm_query_;
    GatedWeights lstm_;
    Parameter query_, query_bias_, query_gate_, key_gate_, value_gate_, value_, value_bias_;
    std::unique_ptr<BoomBlock> boom_;
};

}  // namespace lithe

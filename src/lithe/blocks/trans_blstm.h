// A layer of TRANS-BLSTM (Huang et al. 2020, "TRANS-BLSTM: Transformer with Bidirectional LSTM for Language
// Understanding", section 3): BERT's layer with an LSTM that reads in two directions. For encoders.
//
//   a = norm(x + drop(attention(x)))
//   replace    y = norm(a + drop(lstm(a)))                          TRANS-BLSTM-1: in place of the feed-forward
//   parallel   y = norm(a + drop(feed_forward(a)) + drop(lstm(x)))  TRANS-BLSTM-2: beside it, from the layer's input
//
//   lstm(x) = [h_f; h_b] W^T + b, with h_f [units] read from the first position on and h_b from the last; cell:
//   kernels/gated/gated.h
//
// W [d][2 units]. Attention has biases, the feed-forward GELU. Dropout lies where BERT has it, on the LSTM's product as
// on the feed-forward's. At padding an LSTM stays as it is, and it forgets where it enters another document.
#pragma once

#include <array>

#include "lithe/blocks/attention.h"
#include "lithe/blocks/feed_forward.h"
#include "lithe/blocks/gated_weights.h"
#include "lithe/nn/norm.h"

namespace lithe {

enum class TransBlstmForm { parallel, replace };
constexpr auto names_of(TransBlstmForm) {
    using enum TransBlstmForm;
    return std::to_array<Named<TransBlstmForm>>({{parallel, "parallel"}, {replace, "replace"}});
}

struct TransBlstmValues {
    TransBlstmForm form = TransBlstmForm::parallel;
    int64_t heads = 1;
    int64_t units = 0;
    int64_t inner = 0;
    double dropout = 0, attention_dropout = 0;
    static TransBlstmValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
    AttentionValues attention(const ModelConfig& model) const;
};

class TransBlstmBlock : public Block {
 public:
    TransBlstmBlock(const TransBlstmValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    Tensor dropped(const Tensor& x_TBD, const char* place, const Call& call) const;
    Tensor lstm(const Tensor& x_TBD, const Call& call) const;

    TransBlstmValues values_;
    int64_t width_;
    std::unique_ptr<Block> attention_, feed_forward_;  // without the latter where the LSTM replaces it
    std::array<GatedWeights, 2> directions_;
    Parameter out_, out_bias_;
    LayerNorm attention_norm_, norm_;
};

}  // namespace lithe

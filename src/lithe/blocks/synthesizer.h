// Synthesizer (Tay et al. 2021, section 3; google-research/long-range-arena): logits A of attention weights that are
// not products of queries and keys. Encoder only. All variants make n x n logits for each head; factorising saves
// parameters alone.
//
//   head = softmax(A) V      no 1/sqrt(d) but with `attention`
//   dense: A = ReLU(x W_1 + b_1) W_2 + b_2, W_1 [d][d/H], W_2 [d/H][n]        random: A = R, learned, [n][n]
//   factorised_dense: A[:, p a + q] = P[:, q] S[:, p], P = x W_P [n][a], S = x W_S [n][b], a b = n
//   factorised_random: A = R_1 R_2^T, [n][rank] each        attention: A = Q K^T / sqrt(d/H)
//   several: A = sum_t alpha_t A_t, alpha = softmax of learned numbers, one for each
//
// n is `length`; a shorter segment takes the first rows and columns. Biases of dense and factorised_dense go by `bias`.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

struct SynthesizerValues : PatternedValues {
    int64_t length = 512;
    bool dense = true;
    bool random = false;
    bool factorised_dense = false;
    bool factorised_random = false;
    bool attention = false;
    int64_t factor = 0;
    int64_t rank = 8;
    static SynthesizerValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
    int64_t parts() const { return int64_t(dense) + random + factorised_dense + factorised_random + attention; }
    int64_t first_factor() const;  // a
};

class SynthesizerBlock : public Block {
 public:
    SynthesizerBlock(const SynthesizerValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    // Logits [B or 1][H][T][T], of one kind each.
    Tensor dense(const Tensor& x_TBD) const;
    Tensor random(int64_t n) const;
    Tensor factorised_dense(const Tensor& x_TBD) const;
    Tensor factorised_random(int64_t n) const;
    Tensor attention(const Tensor& x_TBD) const;
    Tensor logits(const Tensor& x_TBD) const;

    SynthesizerValues values_;
    int64_t width_, heads_;
    StackedProjection value_, out_, dense_in_, factors_, query_key_;
    Parameter dense_out_, dense_out_bias_;  // [H length][d/H], [H length]
    Parameter random_;                      // [H length][length]
    Parameter rows_, columns_;              // [H length][rank]
    Parameter mixture_;                     // of several
};

}  // namespace lithe

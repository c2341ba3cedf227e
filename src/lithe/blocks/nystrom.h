// Nystromformer's attention (Xiong et al. 2021, section 3; mlpen/Nystromformer): the matrix of weights is approximated
// from landmarks, means of queries and of keys over consecutive pieces of the segment. Encoder only.
//
//   Q', K' = means of Q, K over pieces of ceil(n / landmarks) tokens            S(x) = softmax(x / sqrt(d/H))
//   head = S(Q K'^T) (Z (S(Q' K^T) V)) + convolution of V along time, one kernel for all channels of a head
//   A = S(Q' K'^T)      Z_0 = A^T / (|A|_1 |A|_inf)      Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4
//
// Z tends to the inverse of A. The rows of A sum to 1, so that |A|_inf is 1. Norms are each matrix's own, unlike in the
// released code, so that rows of a batch do not meet. Padding is in no mean, and a piece that is all padding is no
// landmark. Where landmarks do not divide a segment its last piece is shorter. Sums are fp32 whatever the storage, as
// in the released code.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

struct NystromValues : PatternedValues {
    int64_t landmarks = 64;
    int64_t iterations = 6;
    int64_t taps = 33;
    static NystromValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class NystromBlock : public PatternedBlock {
 public:
    NystromBlock(const NystromValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 protected:
    Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                    const Call& call) const override;
    double pairs(const CostShape& shape) const override;

 private:
    int64_t piece(int64_t n) const { return (n + values_.landmarks - 1) / values_.landmarks; }  // tokens
    int64_t landmarks(int64_t n) const { return (n + piece(n) - 1) / piece(n); }
    // Of a matrix [B H][m][m].
    Tensor inverse(const Tensor& a) const;
    Tensor convolved(const Tensor& v_TBP) const;

    NystromValues values_;
    Parameter convolution_;  // [heads][taps]; empty: none
};

}  // namespace lithe

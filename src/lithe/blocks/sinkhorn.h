// Sinkhorn attention (Tay et al. 2020, "Sparse Sinkhorn Attention"; lucidrains/sinkhorn-transformer with its attention
// sort net): each block of positions sees itself and one block that all blocks were mixed into. Encoders only.
//
//   R_uv = max(0, mean of u's queries . mean of v's keys / sqrt(d/H)),  P = sinkhorn((log(R + 1e-6)) / temperature)
//   Ks_u = sum_v P_uv K_v,  Vs_u = sum_v P_uv V_v   (whole blocks, position by position)
//   o_i = softmax over the keys [Ks_u, K_u] of [Vs_u, V_u], for i in block u
//
// sinkhorn(r): rows, then columns lose their log sum exp, `iterations` times; its exponential is almost doubly
// stochastic, a permutation that gradients pass. Source's version 0.11.4 makes the sorted values of keys; that is a
// mistake of its own, and here they are values. A segment that does not fill its last block has hidden positions in it.
// A mixed position is hidden where the block with the largest share of it hides it, as in the source.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

struct SinkhornValues : PatternedValues {
    int64_t block = 64;
    int64_t iterations = 7;
    double temperature = 0.75;
    static SinkhornValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

// Of logits [...][blocks][blocks].
Tensor sinkhorn(const Tensor& logits, int64_t iterations);

class SinkhornBlock : public PatternedBlock {
 public:
    SinkhornBlock(const SinkhornValues& values, const BlockSite& site)
        : PatternedBlock(values, site),
          values_(values) {}
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

    // Logits that are sorted by, [B][H][blocks][blocks], of queries and keys [blocks][block][B][H][d / H]; hidden
    // [blocks][block][B], undefined: none.
    Tensor logits(const Tensor& q, const Tensor& k, const Tensor& hidden) const;
    // What heads make of queries, keys and values like these under shares P, [blocks block][B][d].
    Tensor mixed(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& shares, const Tensor& hidden) const;

 protected:
    Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                    const Call& call) const override;
    double pairs(const CostShape& shape) const override;

 private:
    int64_t blocks(int64_t steps) const { return (steps + values_.block - 1) / values_.block; }
    SinkhornValues values_;
};

}  // namespace lithe

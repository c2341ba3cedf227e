// Reformer's attention (Kitaev et al. 2020; google/trax, lucidrains/reformer-pytorch): queries are keys, and a query
// compares itself with what a hash puts beside it.
//
//   q_i = x_i W_q,  k_j = q_j / |q_j|,  v_j = x_j W_v
//   round t: bucket(i) = argmax [q_i R_t, -q_i R_t], R_t [d/H][buckets / 2] normal; positions are sorted by bucket,
//   then
//     by position, and cut into chunks; o_t(i) = softmax(q_i . k_j) v_j over the keys of i's chunk and of the one
//     before, z_t(i) the log sum exp of its scores
//   o(i) = sum_t softmax_t(z_t(i)) o_t(i), delta = concat_h o W_o^T
//
// A position sees itself only where it sees nothing else. Rounds stand behind one another: the chunk before a round's
// first is the last one of the round before it, and before that of the first round the last of all. `scaled` divides
// scores by sqrt(d/H), as lucidrains' code does. Rotations are drawn once by counter from the seed and the block's
// name, the same for all heads. Scores are made chunk by chunk: rounds x positions x 2 chunks of them.
//
// In a decoder later positions are masked, but they take part in the sorting and so move the borders of chunks: what a
// position sees depends on what comes behind it.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

struct LshValues : PatternedValues {
    int64_t rounds = 4;
    int64_t chunk = 64;
    int64_t buckets = 0;  // 0: one for each chunk
    bool scaled = false;
    bool allow_leak = false;
    int64_t seed = 0;
    static LshValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class LshBlock : public Block {
 public:
    LshBlock(const LshValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

    // Of rounds for so many positions, [rounds][d / H][buckets / 2], in fp64.
    Tensor rotations(int64_t positions) const;
    // What heads make of queries and values [n][B][d] with these rotations.
    Tensor attended(const Tensor& q_TBD, const Tensor& v_TBD, const Tensor& rotations, const Pass& pass) const;

 private:
    int64_t chunks(int64_t positions) const { return (positions + values_.chunk - 1) / values_.chunk; }
    int64_t buckets(int64_t positions) const;

    LshValues values_;
    int64_t width_;
    uint64_t key_;
    StackedProjection query_value_, out_;
};

}  // namespace lithe

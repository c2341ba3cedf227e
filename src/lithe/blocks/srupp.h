// SRU++ with attention (letter u) and without, "projected linear" (letter r): Lei 2021, "When Attention Meets Fast
// Recurrence", section 3; sru 3.0.0-dev, SRUppAttention, SRUppProjectedLinear.
//
//   u:  Z = [Mem; X] W1^T        Q = R = Z of X        [K, V] = Z W2^T
//       O = a softmax(Q K^T / sqrt(d'/H) + mask) V + R         U = dropout(LN(O)) W3^T        h = SRU(U, skip X)
//   r:  U = dropout(LN(X W1^T)) W2^T                                                          h = SRU(U, skip X)
//
// With one head the same is computed with the keys' and values' product moved to the queries' side,
//       q_t . (W_k z_s) = (W_k^T q_t) . z_s        sum_s p_ts W_v z_s = W_v sum_s p_ts z_s        W2 = [W_k; W_v]
// so that Z itself stands for keys and values: memory positions need no product by W2, and half is read and kept per
// key.
//
// Bidirectional, as an encoder has it: attention sees the whole segment, half of SRU's width runs backwards in time
// (kernels/recurrence/recurrence.h), the skip of each half being its half of X, and nothing is carried.
//
// W1 [d'][d], W2 [2d'][d'], W3 [3][D][d'] in planes; `a` a learned scalar that starts at 0. Parameters: u 4dd' + 2d'^2
// + 2d' + 4d + 1, r 4dd' + 2d' + 4d.
#pragma once

#include "lithe/blocks/attention_memory.h"
#include "lithe/blocks/options.h"
#include "lithe/blocks/sru_cell.h"
#include "lithe/nn/norm.h"

namespace lithe {

struct SruppValues {
    int64_t projection = 0;  // d'
    int64_t heads = 1;
    double highway_bias = -2;
    bool rescale = false;
    double dropout = 0, attention_dropout = 0;
    bool bidirectional = false;
    static SruppValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class SruppBlock : public Block {
 public:
    SruppBlock(const SruppValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double flops_without_input_gradient(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    // One head: W2 stands beside the queries and the result, not at every key (above).
    bool absorbs() const { return values_.heads == 1; }
    SruppValues values_;
    int64_t width_;
    Parameter w1_, w2_, w3_, scale_;
    LayerNorm norm_;
    SruCell cell_;
};

struct ProjectedSruValues {
    int64_t projection = 0;
    double highway_bias = -2;
    bool rescale = false;
    double dropout = 0;
    bool bidirectional = false;
    static ProjectedSruValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class ProjectedSruBlock : public Block {
 public:
    ProjectedSruBlock(const ProjectedSruValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    ProjectedSruValues values_;
    int64_t width_;
    Parameter w1_, w2_;
    LayerNorm norm_;
    SruCell cell_;
};

}  // namespace lithe

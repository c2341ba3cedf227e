// What kinds of attention share that see a pattern of keys: products, memory, cost. A kind says what its queries see.
//
//   [Q, K, V] = x W_q^T, [Mem; x] W_k^T, [Mem; x] W_v^T
//   delta = concat_h softmax(Q_h K_h^T / sqrt(d/H) over the pattern's keys) V_h W_o^T
#pragma once

#include "lithe/blocks/attention_memory.h"
#include "lithe/blocks/attention_projections.h"
#include "lithe/blocks/options.h"

namespace lithe {

// Options of all of them.
struct PatternedValues {
    int64_t heads = 1;
    bool bias = false;
    AttentionInit init = AttentionInit::xavier;

    void visit_shared(FieldVisitor& v);
    // With what no pattern goes.
    void check_shared(const ModelConfig& model, const std::string& where, Problems& problems) const;
    Init matrix_init(int64_t width) const {
        return init == AttentionInit::normal ? Init::normal(0.02) : Init::xavier(width, width);
    }
};

class PatternedBlock : public Block {
 public:
    PatternedBlock(const PatternedValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    State skip(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double flops_without_input_gradient(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 protected:
    // Of queries, keys and values with their memory and mask. Values beside `in`'s are shown by the kind itself.
    virtual Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                            const Call& call) const = 0;
    // Keys that queries of a segment see, all together, on average over heads.
    virtual double pairs(const CostShape& shape) const = 0;
    // Attentions that are joined into one.
    virtual int64_t parts() const { return 1; }
    // What the next segment needs beside the memory.
    virtual void carry(const Tensor& /*x_TBD*/, const State& /*before*/, const Pass&, State& /*after*/) const {}

    int64_t heads_, width_;

 private:
    StackedProjection qkv_, out_;
};

}  // namespace lithe

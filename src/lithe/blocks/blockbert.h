// BlockBERT's attention (Qiu et al. 2020): the segment is cut into blocks, and
// a head's queries of block a see the keys of block pi(a) alone. Encoder only.
//
//   score(i, j) is kept iff floor(j blocks / n) = pi_h(floor(i blocks / n));   pi_h(a) = (a + shift_h) mod blocks
//
// `shifted` heads have each of the shifts 1, ..., blocks - 1, the last heads the largest; all others keep to their
// block. So 12 heads are 10 + 2 with 2 blocks, and 8 + 2 + 2 with 3.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

struct BlockBertValues : PatternedValues {
    int64_t blocks = 2;
    int64_t shifted = 1;
    static BlockBertValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
    int64_t shift_of(int64_t head) const;
};

class BlockBertBlock : public PatternedBlock {
 public:
    BlockBertBlock(const BlockBertValues& values, const BlockSite& site);

 protected:
    Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                    const Call& call) const override;
    double pairs(const CostShape& shape) const override;

 private:
    BlockBertValues values_;
};

}  // namespace lithe

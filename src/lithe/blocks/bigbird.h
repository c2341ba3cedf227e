// BigBird's attention, its internal-global form (Zaheer et al. 2020, section 2; google-research/bigbird): queries and
// keys go in blocks, and a block of queries sees a window of blocks, two global blocks and some random ones. Encoder
// only.
//
//   first and last row   all blocks; all rows see these two
//   row a                blocks a - 1, a, a + 1, and `random` others, drawn once for each head, layer and length
//
// Row 1 does not draw the last block but one, and that row not block 1, as in the released code. The last block may be
// shorter than the others.
#pragma once

#include <functional>

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

struct BigBirdValues : PatternedValues {
    int64_t block = 64;
    int64_t random = 3;
    int64_t seed = 0;
    static BigBirdValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

// The key blocks that each row of blocks sees, ascending. `draw` chooses among a row's candidates.
using BlockRows = std::vector<std::vector<int64_t>>;
using DrawBlocks = std::function<std::vector<int64_t>(int64_t row, std::vector<int64_t> candidates)>;
BlockRows bigbird_rows(int64_t blocks, const DrawBlocks& draw);

// Lists of key spans of n positions in blocks, one list for each head.
ops::KeySpans block_spans(int64_t n, int64_t block, const std::vector<BlockRows>& heads);

class BigBirdBlock : public PatternedBlock {
 public:
    BigBirdBlock(const BigBirdValues& values, const BlockSite& site);

 protected:
    Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                    const Call& call) const override;
    double pairs(const CostShape& shape) const override;

 private:
    BlockRows rows(int64_t n, int64_t head) const;
    BigBirdValues values_;
    uint64_t key_;
};

}  // namespace lithe

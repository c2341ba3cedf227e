// Sparse Transformer's attention (Child et al. 2019, section 4): a query sees two patterns of earlier keys, which
// together reach everything in two layers. Merged heads: one softmax over both patterns (section 5.2).
//
//   strided   the newest l keys, itself among them, and every l-th key before:  j <= i, i - j < l or (i - j) mod l = 0
//   fixed     its own block of l keys, and of every block before it the last c keys:
//             j <= i, j div l = i div l or j mod l >= l - c;  of the next head the c keys before those, and so on
//
// Positions of the fixed pattern count from a document's begin; the state has them ("place" [B]). l is near the root of
// the length, so that time and memory go by length^1.5.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

enum class SparsePattern { strided, fixed };
constexpr auto names_of(SparsePattern) {
    using enum SparsePattern;
    return std::to_array<Named<SparsePattern>>({{strided, "strided"}, {fixed, "fixed"}});
}

struct SparseValues : PatternedValues {
    SparsePattern pattern = SparsePattern::strided;
    int64_t stride = 128;
    int64_t summary = 8;
    static SparseValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

// The fixed pattern of an input's queries. place_B: where in their documents rows begin; undefined: at the begin.
ops::KeySpans fixed_spans(const SparseValues& values, const ops::AttentionInput& in, const Tensor& place_B);

class SparseBlock : public PatternedBlock {
 public:
    SparseBlock(const SparseValues& values, const BlockSite& site);

 protected:
    Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                    const Call& call) const override;
    double pairs(const CostShape& shape) const override;
    int64_t parts() const override { return values_.pattern == SparsePattern::strided ? 2 : 1; }
    void carry(const Tensor& x_TBD, const State& before, const Pass& pass, State& after) const override;

 private:
    SparseValues values_;
};

}  // namespace lithe

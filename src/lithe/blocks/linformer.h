// Linformer's attention (Wang et al. 2020, section 4): keys and values are projected along time to `rank` rows, and a
// segment may have at most `length` positions. Encoder only.
//
//   head_h = softmax(Q_h (E_h^T K_h)^T / sqrt(d/H)) (F_h^T V_h)        E, F [length][rank], the first n rows of them
//
// `sharing` says who has the same: none; headwise, all heads of a layer (E_h = E, F_h = F); key_value, E = F besides;
// layerwise, one matrix for all layers. Padding is zero before it is projected.
#pragma once

#include "lithe/blocks/patterned_attention.h"

namespace lithe {

enum class LinformerSharing { none, headwise, key_value, layerwise };
constexpr auto names_of(LinformerSharing) {
    using enum LinformerSharing;
    return std::to_array<Named<LinformerSharing>>(
        {{none, "none"}, {headwise, "headwise"}, {key_value, "key_value"}, {layerwise, "layerwise"}});
}

struct LinformerValues : PatternedValues {
    int64_t length = 512;
    int64_t rank = 128;
    LinformerSharing sharing = LinformerSharing::headwise;
    static LinformerValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class LinformerBlock : public PatternedBlock {
 public:
    LinformerBlock(const LinformerValues& values, const BlockSite& site);
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 protected:
    Tensor attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State& before,
                    const Call& call) const override;
    double pairs(const CostShape& shape) const override;

 private:
    Tensor projected(const Tensor& x_TBP, const Parameter& by) const;
    LinformerValues values_;
    Parameter keys_, values_of_keys_;  // E and F; F empty: E
};

}  // namespace lithe

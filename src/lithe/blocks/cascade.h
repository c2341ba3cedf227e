// Cascade attention (Wang et al. 2020, "Transformer on a Diet"): causal attention whose window grows with depth. A
// query of layer i sees the newest window x growth^i keys, itself among them; layers are what stands at the top of the
// layout, counted from 0. All else is blocks/attention.h.
#pragma once

#include "lithe/blocks/attention.h"

namespace lithe {

struct CascadeValues {
    int64_t heads = 1;
    bool bias = false;
    double attention_dropout = 0;
    int64_t window = 4;
    double growth = 2;
    AttentionInit init = AttentionInit::xavier;
    static CascadeValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
    // Of attention in this layer.
    AttentionValues in_layer(const ModelConfig& model, int64_t layer) const;
};

class CascadeBlock : public AttentionBlock {
 public:
    CascadeBlock(const CascadeValues& values, const BlockSite& site);
};

}  // namespace lithe

// SRU layer (Lei et al. 2018; sru 3.0.0-dev, SRUCell): U = X W^T, or X W1^T W2^T with a projection, then the recurrence
// with a highway skip. Options as in the reference: layer norm before the product or after the recurrence, highway
// bias, rescale, a skip by the input (3 planes), by a projection of its own (4 planes) or none, one or two directions.
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/blocks/sru_cell.h"
#include "lithe/nn/norm.h"

namespace lithe {

// Where the layer norm stands: before the product, or after the recurrence.
enum class SruNorm { none, before, after };
constexpr auto names_of(SruNorm) {
    using enum SruNorm;
    return std::to_array<Named<SruNorm>>({{none, "none"}, {before, "before"}, {after, "after"}});
}

enum class SruSkip { input, projected, none };
constexpr auto names_of(SruSkip) {
    using enum SruSkip;
    return std::to_array<Named<SruSkip>>({{input, "input"}, {projected, "projected"}, {none, "none"}});
}

enum class SruActivation { identity, tanh };
constexpr auto names_of(SruActivation) {
    using enum SruActivation;
    return std::to_array<Named<SruActivation>>({{identity, "identity"}, {tanh, "tanh"}});
}

struct SruValues {
    int64_t projection = 0;
    SruNorm layer_norm = SruNorm::none;
    SruSkip skip = SruSkip::input;
    SruActivation activation = SruActivation::identity;
    double highway_bias = 0;
    bool rescale = false;
    bool bidirectional = false;
    double dropout = 0;
    UpdateValues updates;
    static SruValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class SruBlock : public Block {
 public:
    SruBlock(const SruValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    SruValues values_;
    int64_t width_;
    Parameter w_, w_projection_;
    LayerNorm norm_;
    SruCell cell_;
    UpdateGate gate_;
};

}  // namespace lithe

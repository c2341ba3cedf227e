#include "lithe/blocks/boom.h"

#include <cmath>

#include "lithe/ops/dropout.h"

namespace lithe {

BoomValues BoomValues::defaults(const ModelConfig& model) {
    BoomValues values;
    values.dropout = model.dropout;
    return values;
}

void BoomValues::visit(FieldVisitor& v) {
    v.field({.name = "expansion", .help = "parts of the width that are added up", .minimum = 1, .maximum = 64},
            expansion);
    v.field({.name = "dropout", .help = "of the parts, and of their sum", .minimum = 0, .maximum = 0.99}, dropout);
}

BoomBlock::BoomBlock(const BoomValues& values, const BlockSite& site) : values_(values), width_(site.model.width) {
    const int64_t d = width_, inner = values.expansion * d;
    norm_skip_ = LayerNorm(site.store, site.name + ".norm_skip", d, kShaNormEpsilon);
    norm_ = LayerNorm(site.store, site.name + ".norm", d, kShaNormEpsilon);
    w_ = site.store.add({site.name + ".w",
                         {inner, d},
                         Role::matrix,
                         Init::normal(kShaDeviation / std::sqrt(double(d))),
                         values.expansion});
    bias_ = site.store.add({site.name + ".bias", {inner}, Role::bias, Init::constant(0)});
}

BranchOutput BoomBlock::branch(const Tensor& x_TBD, const State&, const Call& call) const {
    const auto dropped = [&](const Tensor& x, const char* place) {
        return call.pass.training ? ops::dropout(x, values_.dropout, call.site(place), 1) : x;
    };
    const Tensor z = at::linear(norm_(x_TBD), w_.tensor(), bias_.tensor().to(x_TBD.scalar_type()));
    const Tensor parts = dropped(z * (z * 1.702).sigmoid(), "boom");
    BranchOutput out;
    out.delta_TBD = norm_skip_(x_TBD) + dropped(parts.unflatten(2, {values_.expansion, width_}).sum(2), "boom_sum");
    return out;
}

double BoomBlock::flops_per_token(const CostShape&) const {
    return 2 * double(values_.expansion) * double(width_) * double(width_);
}

double BoomBlock::activation_numbers_per_token(const CostShape&) const {
    return (4 + (values_.dropout > 0 ? 4 : 3) * double(values_.expansion)) * double(width_);
}

}  // namespace lithe

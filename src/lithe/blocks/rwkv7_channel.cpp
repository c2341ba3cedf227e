#include "lithe/blocks/rwkv7_channel.h"

#include <cmath>

#include "lithe/blocks/token_shift.h"

namespace lithe {

Rwkv7ChannelValues Rwkv7ChannelValues::defaults(const ModelConfig& model) { return {(4 * model.width + 31) / 32 * 32}; }

void Rwkv7ChannelValues::visit(FieldVisitor& v) {
    v.field({.name = "inner",
             .help = "inner size; default 4 x width, rounded up to a multiple of 32",
             .minimum = 1,
             .maximum = 1 << 22},
            inner);
}

Rwkv7ChannelBlock::Rwkv7ChannelBlock(const Rwkv7ChannelValues& values, const BlockSite& site)
    : width_(site.model.width),
      inner_(values.inner) {
    const double left = LayerPlace(site, "rwkv7_channel").left();
    std::vector<double> shifts;
    for (int64_t c = 0; c < width_; ++c) shifts.push_back(1 - std::pow(double(c) / double(width_), std::pow(left, 4)));
    shift_ = site.store.add({site.name + ".shift", {width_}, Role::vector, Init::rows(shifts)});
    key_ = site.store.add({site.name + ".key", {inner_, width_}, Role::matrix, Init::orthogonal(1)});
    value_ = site.store.add({site.name + ".value", {width_, inner_}, Role::matrix, Init::constant(0)});
}

BranchOutput Rwkv7ChannelBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const Tensor before = TokenShift::run(x_TBD, state, call, out.state);
    const Tensor mixed = at::addcmul(x_TBD, before, shift_.tensor().to(x_TBD.scalar_type()));
    out.delta_TBD = at::linear(at::linear(mixed, key_.tensor()).relu().square(), value_.tensor());
    return out;
}

double Rwkv7ChannelBlock::flops_per_token(const CostShape&) const { return 4 * double(width_) * double(inner_); }

double Rwkv7ChannelBlock::activation_numbers_per_token(const CostShape&) const {
    return 3 * double(width_) + 2 * double(inner_);
}

}  // namespace lithe

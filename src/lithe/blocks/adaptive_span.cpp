#include "lithe/blocks/adaptive_span.h"

#include <cmath>

#include "lithe/blocks/layer_place.h"
#include "lithe/blocks/look.h"
#include "lithe/ops/node.h"

namespace lithe {
namespace {

constexpr int64_t kBlock = 64;  // to which spans are rounded up, as in the source

// Within [0, 1]; at its ends and beyond, only gradients pass that lead back. The source cuts the parameter after every
// update.
struct ShareNode : torch::autograd::Node {
    Tensor share;

    std::string name() const override { return "lithe::span share backward"; }

    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        const Tensor& d = gradients[0];
        if (!d.defined()) return {Tensor()};
        const Tensor leaves = share.le(0).logical_and(d.gt(0)).logical_or(share.ge(1).logical_and(d.lt(0)));
        return {d.masked_fill(leaves, 0)};
    }
};

Tensor within_one(const Tensor& share) {
    Tensor cut = share.detach().clamp(0, 1);
    if (ops::needs_gradient(share)) {
        auto node = ops::make_node<ShareNode>(share);
        node->share = share.detach();
        torch::autograd::set_history(cut, node);
    }
    return cut;
}

// A state whose memory are the newest `count` positions.
State nearest(const State& state, int64_t count) {
    State near;
    for (const auto& [name, axis] : {std::pair{"memory", 0}, {"projections", 0}, {"hidden", 1}})
        if (const Tensor all = state.get(name); all.defined())
            near.put(name, keep_last({}, all, axis, count), 1 - axis, axis);
    return near;
}

int64_t length_of(const State& state) {
    for (const char* name : {"memory", "projections"})
        if (const Tensor all = state.get(name); all.defined()) return all.size(0);
    return 0;
}

}  // namespace

AdaptiveSpanValues AdaptiveSpanValues::defaults(const ModelConfig& model) {
    AdaptiveSpanValues values;
    values.heads = model.heads;
    return values;
}

void AdaptiveSpanValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "span", .help = "keys that a head can see at most", .minimum = 1, .maximum = 1 << 24}, span);
    v.field({.name = "ramp",
             .help = "keys behind a head's span over which weights fall to nothing",
             .minimum = 1,
             .maximum = 1 << 24},
            ramp);
    v.field({.name = "initial", .help = "spans at the start, as a share of span", .minimum = 0, .maximum = 1}, initial);
    v.field({.name = "penalty",
             .help = "the loss has this times the mean span of every layer more",
             .minimum = 0,
             .maximum = 1e6},
            penalty);
    v.field({.name = "own_position", .help = "a query sees its own position, too"}, own_position);
}

void AdaptiveSpanValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
}

AdaptiveSpanBlock::AdaptiveSpanBlock(const AdaptiveSpanValues& values, const BlockSite& site)
    : heads_(values.heads),
      width_(site.model.width),
      values_(values),
      name_(site.name),
      qkv_(site, "qkv", {3, width_, width_}, values.bias, values.matrix_init(width_)),
      out_(site, "out", {1, width_, width_}, values.bias, values.matrix_init(width_)) {
    shares_ = site.store.add({site.name + ".spans", {heads_}, Role::vector, Init::constant(values.initial)});
    const std::string stack = LayerPlace(site, "adaptive_span").stack;
    const std::string size = std::to_string(values.span) + "_" + std::to_string(width_ / heads_);
    const std::string owner = stack.empty() ? site.name : stack + ".span";
    positions_ = site.store.add_shared(
        {owner + ".positions_" + size, {values.span, width_ / heads_}, Role::embedding, Init::normal(1)});
}

int64_t AdaptiveSpanBlock::seen(double share) const {
    const int64_t most = values_.span, shown = int64_t(std::ceil(share * double(most))) + values_.ramp;
    return std::min(most, (shown + kBlock - 1) / kBlock * kBlock);
}

void AdaptiveSpanBlock::put_distances(ops::AttentionInput& in, int64_t keys, int64_t seen,
                                      const Tensor& shares_H) const {
    const int64_t hidden = -ahead(), near = std::min(seen, keys - hidden), far = keys - hidden - near;
    // row c is distance keys - 1 - c
    const auto by_distance = [&](const Tensor& of_seen, int64_t axis) {
        std::vector<int64_t> behind = of_seen.sizes().vec(), before = behind;
        behind[size_t(axis)] = far;
        before[size_t(axis)] = hidden;
        return at::cat({at::zeros(behind, of_seen.options()), of_seen.flip(axis), at::zeros(before, of_seen.options())},
                       axis);
    };
    const Tensor rows = by_distance(positions_.tensor().narrow(0, 0, near), 0);
    in.distance_q_TBP = in.q_TBP;
    in.distance_r_SP = rows.unsqueeze(1).expand({keys, heads_, rows.size(1)}).reshape({keys, width_});
    const Tensor places = at::arange(near, shares_H.options().requires_grad(false));
    const double ramp = double(values_.ramp), span = double(values_.span);
    const Tensor mask = ((shares_H * span + ramp).unsqueeze(1) - places).div(ramp).clamp(0, 1);
    const double least = mask.scalar_type() == at::kDouble ? 1e-300 : 1e-37;
    in.distance_bias_HS = by_distance(mask.clamp_min(least).log(), 1);
}

BranchOutput AdaptiveSpanBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const Pass pass = bounded(call.pass);
    const Call within(pass, call.place, call.bag);
    const Tensor shares = within_one(shares_.tensor().to(ops::compute_type(x_TBD.scalar_type())));
    // a look at the numbers would wait for a GPU
    const int64_t seen = this->seen(x_TBD.is_cuda() ? 1 : shares.detach().max().item<double>());
    const int64_t back = seen - 1 - ahead();
    const Tensor packed = qkv_(x_TBD);
    ops::AttentionInput in{
        .q_TBP = packed.narrow(2, 0, width_), .kv_TBX = packed.narrow(2, width_, 2 * width_), .heads = heads_};
    Recalled recalled = recall(nearest(state, back), x_TBD, within,
                               [&](const Tensor& memory_MBD) { return qkv_(call.normed(memory_MBD), width_); });
    in.memory_MBX = recalled.memory_MBX;
    in.mask = recalled.mask.mask;
    put_distances(in, recalled.length() + x_TBD.size(0), seen, shares);
    const Tensor mixed = attended(in, back);
    show(call, {in.kv_TBX, width_, mixed, heads_});
    out.delta_TBD = out_(mixed);
    recalled.mask = make_mask(state, length_of(state), x_TBD.size(0), x_TBD.size(1), pass);
    remember(state, recalled, call.entering(x_TBD), in.kv_TBX, within, out.state);
    if (values_.penalty > 0)
        out.aux.losses.emplace_back(name_ + ".span", shares.mean() * (values_.penalty * double(values_.span)));
    return out;
}

State AdaptiveSpanBlock::skip(const Tensor& x_TBD, const State& state, const Call& call) const {
    const Pass pass = bounded(call.pass);
    return skipped_attention(x_TBD, state, Call(pass, call.place, call.bag));
}

double AdaptiveSpanBlock::flops_per_token(const CostShape& all) const {
    CostShape shape = bounded(all);
    const double d = double(width_);
    const int64_t back = seen(values_.initial) - 1 - ahead();
    shape.memory = std::min(shape.memory, back);
    return 8 * d * d + shape.again() * 4 * d * d + 6 * (shape.keys(back + 1) + double(ahead())) * d;
}

double AdaptiveSpanBlock::flops_without_input_gradient(const CostShape& all) const {
    CostShape shape = bounded(all);
    const double d = double(width_);
    shape.memory = std::min(shape.memory, seen(values_.initial) - 1 - ahead());
    return shape.again() * 4 * d * d + (shape.kept ? 4 * double(shape.memory) * d : 0);
}

// x, queries, keys, values, what is mixed; memory's keys and values; rows by distance and their gradients.
double AdaptiveSpanBlock::activation_numbers_per_token(const CostShape& all) const {
    const CostShape shape = bounded(all);
    const double span = 1 + double(shape.memory) / double(shape.length);
    return double(width_) * (4 + 2 * span + span / double(shape.batch));
}

}  // namespace lithe

#include "lithe/blocks/rwkv7.h"

#include "lithe/blocks/token_shift.h"

namespace lithe {
namespace {

enum { kR, kW, kK, kV, kA, kG, kMixes };

// By channel c of `width`: what initial values are made of.
struct Channel {
    double share;   // c / width
    double linear;  // from -1/2 to 1/2
    double zigzag;  // from -1 to 1 within a head, its square with its sign
    Channel(int64_t c, int64_t width, int64_t head)
        : share(double(c) / double(width)),
          linear(double(c) / double(std::max<int64_t>(1, width - 1)) - 0.5) {
        const double middle = std::max(double(head - 1) / 2, 0.5);
        const double at = (double(c % head) - double(head - 1) / 2) / middle;
        zigzag = at * std::abs(at);
    }
};

template <class Of> std::vector<double> by_channel(int64_t width, int64_t head, const Of& of) {
    std::vector<double> list;
    for (int64_t c = 0; c < width; ++c) list.push_back(of(Channel(c, width, head)));
    return list;
}

Tensor tanh_of(const Tensor& x) { return x.tanh(); }
Tensor sigmoid_of(const Tensor& x) { return x.sigmoid(); }

}  // namespace

Rwkv7Values Rwkv7Values::defaults(const ModelConfig& model) {
    constexpr int64_t kHead = 64;  // the authors'
    Rwkv7Values values;
    values.heads = std::max<int64_t>(1, model.width / kHead);
    while (model.width % values.heads) --values.heads;
    const double head = double(model.width) / double(values.heads) / double(kHead);
    auto rank = [&](double factor) {
        return std::max<int64_t>(32, 32 * std::llround(factor * std::sqrt(double(model.width)) / 32));
    };
    values.decay_rank = values.rate_rank = rank(2.5 * head);
    values.value_rank = rank(1.7 * head);
    values.gate_rank = rank(5);
    return values;
}

void Rwkv7Values::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "heads, each with a state; default width / 64", .minimum = 1, .maximum = 4096},
            heads);
    v.field({.name = "decay_rank", .help = "of the decays' product", .minimum = 1, .maximum = 1 << 20}, decay_rank);
    v.field(
        {.name = "rate_rank", .help = "of the product that says how much is removed", .minimum = 1, .maximum = 1 << 20},
        rate_rank);
    v.field({.name = "value_rank",
             .help = "of the product that says how much of the first layer's values is taken",
             .minimum = 1,
             .maximum = 1 << 20},
            value_rank);
    v.field({.name = "gate_rank", .help = "of the gate's product", .minimum = 1, .maximum = 1 << 20}, gate_rank);
}

void Rwkv7Values::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_heads(where, "width", model.width, heads, problems);
}

Tensor Rwkv7Block::LowRank::operator()(const Tensor& x, Tensor (*between)(const Tensor&)) const {
    Tensor low = at::linear(x, in.tensor());
    if (between) low = between(low);
    return bias ? at::linear(low, out.tensor(), bias.tensor().to(x.scalar_type())) : at::linear(low, out.tensor());
}

Rwkv7Block::LowRank Rwkv7Block::low_rank(const BlockSite& site, const char* name, int64_t rank,
                                         const std::vector<double>& bias) const {
    const std::string path = site.name + "." + name;
    const double wide = rank > width_ ? std::sqrt(double(rank) / double(width_)) : 1;
    LowRank made;
    made.in = site.store.add({path + "_in", {rank, width_}, Role::matrix, Init::constant(0)});
    made.out = site.store.add({path + "_out", {width_, rank}, Role::matrix, Init::orthogonal(0.1 * wide)});
    if (!bias.empty()) made.bias = site.store.add({path + "_bias", {width_}, Role::bias, Init::rows(bias)});
    return made;
}

Rwkv7Block::Rwkv7Block(const Rwkv7Values& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      norm_epsilon_(site.model.norm_epsilon * double(site.model.width / values.heads)),
      cell_{.heads = values.heads,
            .key = width_ / values.heads,
            .value = width_ / values.heads,
            .scale = 1,
            .products = 4} {
    const LayerPlace at(site, "rwkv7");
    auto channels = [&](const auto& of) { return by_channel(width_, cell_.key, of); };
    auto vector = [&](const char* name, const Init& init, int64_t size) {
        return site.store.add({site.name + "." + name, {size}, Role::vector, init});
    };
    auto matrix = [&](const char* name, const Init& init) {
        return site.store.add({site.name + "." + name, {width_, width_}, Role::matrix, init});
    };
    std::vector<double> shifts;
    for (double power : {0.2, 0.9, 0.7, 0.7, 0.9, 0.2})  // of r, w, k, v, a, g
        for (double each : channels([&](const Channel& c) { return 1 - std::pow(c.share, power * at.left()); }))
            shifts.push_back(each);
    shift_ = vector("shift", Init::rows(shifts), kMixes * width_);
    receptance_ = matrix("receptance", Init::orthogonal(1));
    key_ = matrix("key", Init::orthogonal(0.1));
    value_ = matrix("value", Init::orthogonal(1));
    const double bend = 1 + std::pow(at.depth(), 0.3);
    decay_ = low_rank(site, "decay", values.decay_rank, channels([&](const Channel& c) {
                          return -6 + 6 * std::pow(c.linear + 0.5, bend) + 0.5 + 2.5 * c.zigzag;
                      }));
    rate_ = low_rank(site, "rate", values.rate_rank,
                     channels([](const Channel& c) { return -0.19 + 0.3 * c.zigzag + 0.4 * c.linear; }));
    if (at.after_another)
        value_mix_ = low_rank(site, "value_mix", values.value_rank,
                              channels([](const Channel& c) { return 0.73 - 0.4 * c.linear; }));
    gate_ = low_rank(site, "gate", values.gate_rank, {});
    key_scale_ =
        vector("key_scale", Init::rows(channels([](const Channel& c) { return 0.71 - 0.1 * c.linear; })), width_);
    key_rate_ = vector("key_rate", Init::constant(1.02), width_);
    bonus_ = vector("bonus", Init::constant(-0.04), width_);
    norm_gain_ = vector("norm.gain", Init::constant(std::pow(double(at.layer + 1) / double(at.layers), 0.7)), width_);
    norm_bias_ = site.store.add({site.name + ".norm.bias", {width_}, Role::bias, Init::constant(0)});
    out_ = matrix("out", Init::constant(0));
}

// Mixed with those of the first layer, unless this step leaves it out; in it, they are handed on.
Tensor Rwkv7Block::values(const Tensor& v, const Tensor& x, const Call& call, Bag& bag) const {
    const Tensor first = call.bag.get(kFirstValues);
    if (!value_mix_) {
        if (!first.defined()) bag.put(kFirstValues, v);
        return v;
    }
    return first.defined() ? at::lerp(v, first, value_mix_(x, nullptr).sigmoid()) : v;
}

std::vector<BagKey> Rwkv7Block::recalls() const {
    if (!value_mix_) return {};
    return {kFirstValues};
}

BranchOutput Rwkv7Block::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const auto type = x_TBD.scalar_type(), compute = ops::compute_type(type);
    auto numbers = [&](const Parameter& parameter) { return parameter.tensor().to(type); };
    auto heads = [&](const Tensor& x) { return x.unflatten(2, {cell_.heads, cell_.key}); };
    const Tensor before = TokenShift::run(x_TBD, state, call, out.state);
    const auto shifts = numbers(shift_).chunk(kMixes);
    auto mixed = [&](int which) { return at::addcmul(x_TBD, before, shifts[size_t(which)]); };
    const Tensor k = at::linear(mixed(kK), key_.tensor()), x_v = mixed(kV);
    const Tensor rate = rate_(mixed(kA), nullptr).sigmoid();
    const Tensor removed = heads(k * numbers(key_scale_));
    const Tensor kappa = removed / removed.norm(2, {3}, true).clamp_min(1e-12);
    ops::MatrixStateInput in;
    in.g_TBX = decay_(mixed(kW), tanh_of).to(compute).sigmoid() * -std::exp(-0.5);
    in.q_TBHK = heads(at::linear(mixed(kR), receptance_.tensor()));
    in.k_TBHK = heads(k + k * (rate - 1) * numbers(key_rate_));
    in.v_TBHV = heads(values(at::linear(x_v, value_.tensor()), x_v, call, out.bag));
    in.a_TBHK = kappa * heads(in.g_TBX.neg().exp().to(type));
    in.b_TBHK = kappa * heads(rate);
    const Tensor read = cell_.run(in, state, call, out.state);
    out.delta_TBD = put_out(read, in, gate_(mixed(kG), sigmoid_of));
    return out;
}

Tensor Rwkv7Block::put_out(const Tensor& read, const ops::MatrixStateInput& in, const Tensor& gate) const {
    const auto type = read.scalar_type();
    const Tensor by_head = read.unflatten(2, {cell_.heads, cell_.value});
    const Tensor normed = at::layer_norm(by_head, {cell_.value}, {}, {}, norm_epsilon_).flatten(2);
    const Tensor bonus = bonus_.tensor().to(type).view({cell_.heads, cell_.key});
    const Tensor own = (in.q_TBHK * in.k_TBHK * bonus).sum(3, true) * in.v_TBHV;
    const Tensor y = normed * norm_gain_.tensor().to(type) + norm_bias_.tensor().to(type) + own.flatten(2);
    return at::linear(y * gate, out_.tensor());
}

double Rwkv7Block::flops_per_token(const CostShape&) const {
    const double d = double(width_), ranks = double(values_.decay_rank + values_.rate_rank + values_.gate_rank +
                                                    (value_mix_ ? values_.value_rank : 0));
    return 8 * d * d + 4 * d * ranks + cell_.flops_per_token();
}

double Rwkv7Block::activation_numbers_per_token(const CostShape&) const {
    // x, the token before, six mixes; r, k, v, rate, gate; what is made of them; decays are fp32
    return 32 * double(width_) +
           double(values_.decay_rank + values_.rate_rank + values_.gate_rank + values_.value_rank) +
           cell_.kept_per_token();
}

}  // namespace lithe

#include "lithe/blocks/hgrn2.h"

#include "lithe/blocks/layer_place.h"

namespace lithe {
Hgrn2Values Hgrn2Values::defaults(const ModelConfig& model) {
    constexpr int64_t kHead = 128;  // the source's
    return {.heads = std::max<int64_t>(1, model.width / kHead)};
}

void Hgrn2Values::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "heads, each with a state; default width / 128", .minimum = 1, .maximum = 4096},
            heads);
    v.field({.name = "lower_bounds", .help = "what a layer keeps at least is learned, and rises with depth"},
            lower_bounds);
}

void Hgrn2Values::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_heads(where, "width", model.width, heads, problems);
}

Hgrn2Block::Hgrn2Block(const Hgrn2Values& values, const BlockSite& site)
    : width_(site.model.width),
      cell_{values.heads, width_ / values.heads, width_ / values.heads,
            1 / std::sqrt(double(width_) / double(values.heads))} {
    const int64_t d = width_;
    const Init init = Init::normal(0.02);
    qfv_ = site.store.add({site.name + ".qfv", {3 * d, d}, Role::matrix, init, 3});
    out_ = site.store.add({site.name + ".out", {d, d}, Role::matrix, init});
    norm_ = RmsNorm(site.store, site.name + ".norm", d, site.model.norm_epsilon);
    const LayerPlace at(site, "hgrn2");
    layer_ = at.layer;
    if (!values.lower_bounds || layer_ == 0) return;
    bounds_ = site.store.add_shared({at.stack + ".lower_bounds", {at.layers, d}, Role::vector, Init::constant(0)});
}

Tensor Hgrn2Block::bound() const {
    return bounds_ ? at::softmax(bounds_.tensor(), 0).slice(0, 1, layer_ + 1).sum(0) : Tensor();
}

BranchOutput Hgrn2Block::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const auto compute = ops::compute_type(x_TBD.scalar_type());
    const auto parts = at::linear(x_TBD, qfv_.tensor()).split(width_, 2);
    auto heads = [&](const Tensor& x) { return x.unflatten(2, {cell_.heads, cell_.key}); };
    ops::MatrixStateInput in;
    const Tensor f = parts[1].to(compute), bound = this->bound();
    Tensor lost = at::sigmoid(-f);  // 1 - left, exact where next to nothing is lost
    if (bound.defined()) lost = lost * (1 - bound);
    in.g_TBX = bound.defined() ? at::log1p(-lost) : at::log_sigmoid(f);
    in.q_TBHK = heads(at::silu(parts[0]));
    in.k_TBHK = heads(lost.to(x_TBD.scalar_type()));
    in.v_TBHV = heads(parts[2]);
    out.delta_TBD = at::linear(norm_(cell_.run(in, state, call, out.state)), out_.tensor());
    return out;
}

StepOutput Hgrn2Block::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t d = width_;
    float *qfv = program.vector(3 * d), *left = program.vector(d), *normed = program.vector(d),
          *delta = program.vector(d);
    const Tensor bound = bounds_ ? this->bound().detach().to(at::kFloat).contiguous() : at::zeros({d});
    program.product({.weight = qfv_, .x = x, .y = qfv, .planes = 3, .settled = false});
    program.parts(d, [=](int64_t row, int64_t begin, int64_t end) {
        const float* bounds = bound.data_ptr<float>();
        for (int64_t i = begin; i < end; ++i) {
            float *q = qfv + row * 3 * d + i, *k = q + d;
            const float lost = (1 - bounds[i]) / (1 + std::exp(*k));
            *q = silu(*q);
            *k = lost;
            left[row * d + i] = 1 - lost;
        }
    });
    const StepOutput mixed = cell_.add_step(program, {.q = qfv,
                                                      .k = qfv + d,
                                                      .v = qfv + 2 * d,
                                                      .left = left,
                                                      .q_stride = 3 * d,
                                                      .k_stride = 3 * d,
                                                      .v_stride = 3 * d,
                                                      .by_channel = true});
    program.rms_norm(norm_, {.x = mixed.y, .y = normed});
    program.product({.weight = out_, .x = normed, .y = delta});
    return {delta, mixed.load};
}

double Hgrn2Block::flops_per_token(const CostShape&) const {
    return 8 * double(width_) * double(width_) + cell_.flops_per_token();
}

double Hgrn2Block::activation_numbers_per_token(const CostShape&) const {
    // decays and what they are made of are fp32
    return 15 * double(width_) + cell_.kept_per_token();
}

}  // namespace lithe

#include "lithe/blocks/gated_delta.h"

namespace lithe {
namespace {

// Log of a number uniform from 0 to 16, which must not be 0.
double first_log_a_of_head(double unit) { return std::log(std::max(16 * unit, 1e-4)); }

}  // namespace

GatedDeltaValues GatedDeltaValues::defaults(const ModelConfig& model) {
    constexpr int64_t kHead = 256;  // the source's
    GatedDeltaValues values;
    values.key_width = std::max<int64_t>(1, 3 * model.width / 4);
    values.value_width = 2 * values.key_width;
    values.choose_heads(kHead);
    return values;
}

void GatedDeltaValues::visit(FieldVisitor& v) {
    DeltaValues::visit(v, "heads, each with a state and a decay; default about 3/4 width / 256",
                       "of queries and keys, all heads together; default 3/4 width", "of values; default 3/2 width");
}

GatedDeltaBlock::GatedDeltaBlock(const GatedDeltaValues& values, const BlockSite& site)
    : width_(site.model.width),
      in_(values, site) {
    const int64_t all = values.value_width;
    const Init init = Init::normal(0.02);
    auto vector = [&](const char* name, Role role, const Init& start) {
        return site.store.add({site.name + "." + name, {values.heads}, role, start});
    };
    decay_ = site.store.add({site.name + ".decay", {values.heads, width_}, Role::matrix, init});
    dt_bias_ = vector("dt_bias", Role::bias, Init::drawn(first_dt_bias));
    log_a_ = vector("log_a", Role::vector, Init::drawn(first_log_a_of_head));
    gate_ = site.store.add({site.name + ".gate", {all, width_}, Role::matrix, init});
    norm_ =
        RmsNorm(site.store, site.name + ".norm", in_.cell().value, site.model.norm_epsilon, kernels::NormGate::after);
    out_ = site.store.add({site.name + ".out", {width_, all}, Role::matrix, init});
}

BranchOutput GatedDeltaBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const auto compute = ops::compute_type(x_TBD.scalar_type());
    ops::MatrixStateInput in = in_.run(x_TBD, state, call, out.state);
    const Tensor dt = at::softplus(at::linear(x_TBD, decay_.tensor()).to(compute) + dt_bias_.tensor());
    in.g_TBX = -dt * log_a_.tensor().exp();
    const Tensor mixed = in_.mix(in, state, call, out.state);
    out.delta_TBD = at::linear(norm_(mixed, at::linear(x_TBD, gate_.tensor())), out_.tensor());
    return out;
}

StepOutput GatedDeltaBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t heads = in_.cell().heads, all = in_.cell().values();
    float *left = program.vector(heads), *gate = program.vector(all), *normed = program.vector(all),
          *delta = program.vector(width_);
    program.product({.weight = decay_, .x = x, .y = left});
    program.product({.weight = gate_, .x = x, .y = gate});
    program.each_row(
        [=, log_a = log_a_.tensor().data_ptr<float>(), bias = dt_bias_.tensor().data_ptr<float>()](int64_t row) {
            for (int64_t h = 0; h < heads; ++h) {
                float& own = left[row * heads + h];
                own = std::exp(-softplus(own + bias[h]) * std::exp(log_a[h]));
            }
        });
    DeltaProjections::Step step = in_.add_step(program, x);
    step.in.left = left;
    const StepOutput mixed = in_.add_mix(program, step);
    program.rms_norm(norm_, {.x = mixed.y, .z = gate, .z_stride = all, .heads = heads, .y = normed});
    program.product({.weight = out_, .x = normed, .y = delta});
    return {delta, mixed.load};
}

double GatedDeltaBlock::flops_per_token(const CostShape&) const {
    return in_.flops_per_token() + 2 * double(width_) * double(2 * in_.cell().values() + in_.cell().heads);
}

double GatedDeltaBlock::activation_numbers_per_token(const CostShape&) const {
    return in_.activation_numbers_per_token() + 3 * double(in_.cell().values());
}

}  // namespace lithe

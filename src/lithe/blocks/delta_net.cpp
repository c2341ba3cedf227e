#include "lithe/blocks/delta_net.h"

namespace lithe {

DeltaNetValues DeltaNetValues::defaults(const ModelConfig& model) {
    constexpr int64_t kHead = 128;  // the paper's
    DeltaNetValues values;
    values.key_width = values.value_width = model.width;
    values.choose_heads(kHead);
    return values;
}

void DeltaNetValues::visit(FieldVisitor& v) {
    DeltaValues::visit(v, "heads, each with a state; default about width / 128",
                       "of queries and keys, all heads together; default width", "of values; default width");
    v.field({.name = "gate", .help = "a gate from the input behind the norm"}, gate);
}

DeltaNetBlock::DeltaNetBlock(const DeltaNetValues& values, const BlockSite& site)
    : width_(site.model.width),
      in_(values, site) {
    const int64_t all = values.value_width;
    const Init init = Init::normal(0.02);
    if (values.gate) gate_ = site.store.add({site.name + ".gate", {all, width_}, Role::matrix, init});
    norm_ = RmsNorm(site.store, site.name + ".norm", in_.cell().value, site.model.norm_epsilon,
                    values.gate ? kernels::NormGate::after : kernels::NormGate::none);
    out_ = site.store.add({site.name + ".out", {width_, all}, Role::matrix, init});
}

BranchOutput DeltaNetBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const Tensor mixed = in_.mix(in_.run(x_TBD, state, call, out.state), state, call, out.state);
    const Tensor gate = gate_ ? at::linear(x_TBD, gate_.tensor()) : Tensor();
    out.delta_TBD = at::linear(norm_(mixed, gate), out_.tensor());
    return out;
}

StepOutput DeltaNetBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t all = in_.cell().values();
    float *gate = gate_ ? program.vector(all) : nullptr, *normed = program.vector(all), *delta = program.vector(width_);
    if (gate_) program.product({.weight = gate_, .x = x, .y = gate});
    const StepOutput mixed = in_.add_mix(program, in_.add_step(program, x));
    program.rms_norm(norm_, {.x = mixed.y, .z = gate, .z_stride = all, .heads = in_.cell().heads, .y = normed});
    program.product({.weight = out_, .x = normed, .y = delta});
    return {delta, mixed.load};
}

double DeltaNetBlock::flops_per_token(const CostShape&) const {
    return in_.flops_per_token() + 2 * double(width_) * double(in_.cell().values()) * (gate_ ? 2 : 1);
}

double DeltaNetBlock::activation_numbers_per_token(const CostShape&) const {
    return in_.activation_numbers_per_token() + (gate_ ? 3 : 2) * double(in_.cell().values());
}

}  // namespace lithe

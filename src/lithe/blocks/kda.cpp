#include "lithe/blocks/kda.h"

namespace lithe {

KdaValues KdaValues::defaults(const ModelConfig& model) {
    constexpr int64_t kHead = 128;  // the source's
    KdaValues values;
    values.key_width = values.value_width = model.width;
    values.choose_heads(kHead);
    return values;
}

void KdaValues::visit(FieldVisitor& v) {
    DeltaValues::visit(v, "heads, each with a state; default about width / 128",
                       "of queries and keys, all heads together; default width", "of values; default width");
}

KdaBlock::KdaBlock(const KdaValues& values, const BlockSite& site) : width_(site.model.width), in_(values, site) {
    const int64_t keys = values.key_width, all = values.value_width, rank = in_.cell().value;
    auto matrix = [&](const char* name, int64_t rows, int64_t columns) {
        return site.store.add({site.name + "." + name, {rows, columns}, Role::matrix, Init::normal(0.02)});
    };
    auto vector = [&](const char* name, Role role, int64_t size, const Init& start) {
        return site.store.add({site.name + "." + name, {size}, role, start});
    };
    decay_in_ = matrix("decay_in", rank, width_);
    decay_out_ = matrix("decay_out", keys, rank);
    dt_bias_ = vector("dt_bias", Role::bias, keys, Init::drawn(first_dt_bias));
    log_a_ = vector("log_a", Role::vector, values.heads, Init::drawn(first_log_a));
    gate_in_ = matrix("gate_in", rank, width_);
    gate_out_ = matrix("gate_out", all, rank);
    gate_bias_ = vector("gate_bias", Role::bias, all, Init::constant(0));
    norm_ = RmsNorm(site.store, site.name + ".norm", in_.cell().value, site.model.norm_epsilon);
    out_ = matrix("out", width_, all);
}

BranchOutput KdaBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const auto compute = ops::compute_type(x_TBD.scalar_type());
    const MatrixStateCell& cell = in_.cell();
    ops::MatrixStateInput in = in_.run(x_TBD, state, call, out.state);
    const Tensor raw = at::linear(at::linear(x_TBD, decay_in_.tensor()), decay_out_.tensor());
    const Tensor dt = at::softplus(raw.to(compute) + dt_bias_.tensor()).unflatten(2, {cell.heads, cell.key});
    in.g_TBX = (-dt * log_a_.tensor().exp().unsqueeze(1)).flatten(2);
    const Tensor mixed = in_.mix(in, state, call, out.state);
    const Tensor gate = at::linear(at::linear(x_TBD, gate_in_.tensor()), gate_out_.tensor(),
                                   gate_bias_.tensor().to(x_TBD.scalar_type()));
    out.delta_TBD = at::linear(norm_(mixed) * at::sigmoid(gate), out_.tensor());
    return out;
}

StepOutput KdaBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t key = in_.cell().key, keys = in_.cell().keys(), all = in_.cell().values(), rank = in_.cell().value;
    float *low = program.vector(rank), *left = program.vector(keys), *narrow = program.vector(rank),
          *gate = program.vector(all), *normed = program.vector(all), *delta = program.vector(width_);
    program.product({.weight = decay_in_, .x = x, .y = low});
    program.product({.weight = decay_out_, .bias = dt_bias_, .x = low, .y = left, .settled = false});
    program.parts(keys, [=, log_a = log_a_.tensor().data_ptr<float>()](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            float& own = left[row * keys + i];
            own = std::exp(-softplus(own) * std::exp(log_a[i / key]));
        }
    });
    program.product({.weight = gate_in_, .x = x, .y = narrow});
    program.product({.weight = gate_out_, .bias = gate_bias_, .x = narrow, .y = gate});
    DeltaProjections::Step step = in_.add_step(program, x);
    step.in.left = left;
    step.in.by_channel = true;
    const StepOutput mixed = in_.add_mix(program, step);
    program.rms_norm(norm_, {.x = mixed.y, .heads = in_.cell().heads, .y = normed});
    program.parts(all, [=](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = row * all + begin; i < row * all + end; ++i) normed[i] /= 1 + std::exp(-gate[i]);
    });
    program.product({.weight = out_, .x = normed, .y = delta});
    return {delta, mixed.load};
}

double KdaBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_), keys = double(in_.cell().keys()), all = double(in_.cell().values()),
                 rank = double(in_.cell().value);
    return in_.flops_per_token() + 2 * d * (2 * rank + all) + 2 * rank * (keys + all);
}

double KdaBlock::activation_numbers_per_token(const CostShape&) const {
    // decays and what they are made of are fp32
    const double keys = double(in_.cell().keys()), all = double(in_.cell().values());
    return in_.activation_numbers_per_token() + 7 * keys + 5 * all + 2 * double(in_.cell().value);
}

}  // namespace lithe

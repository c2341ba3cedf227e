#include "lithe/blocks/gla.h"

namespace lithe {

GlaValues GlaValues::defaults(const ModelConfig& model) {
    GlaValues values;
    values.key_width = std::max<int64_t>(1, model.width / 2);
    values.value_width = model.width;
    return values;
}

void GlaValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "heads, each with a state", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "key_width",
             .help = "of queries and keys, all heads together; default width / 2",
             .minimum = 1,
             .maximum = 1 << 20},
            key_width);
    v.field({.name = "value_width", .help = "of values; default width", .minimum = 1, .maximum = 1 << 20}, value_width);
    v.field({.name = "decay_rank", .help = "of the decays' product", .minimum = 1, .maximum = 1 << 20}, decay_rank);
    v.field({.name = "decay_temperature",
             .help = "decays are sigmoids to the power of one over this",
             .minimum = 1e-3,
             .maximum = 1e6},
            decay_temperature);
}

void GlaValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    check_heads(where, "key_width", key_width, heads, problems);
    check_heads(where, "value_width", value_width, heads, problems);
}

GlaBlock::GlaBlock(const GlaValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      cell_{values.heads, values.key_width / values.heads, values.value_width / values.heads,
            1 / std::sqrt(double(values.key_width) / double(values.heads))} {
    const int64_t d = width_, keys = values.key_width, all = values.value_width;
    const Init init = Init::normal(0.02);
    auto matrix = [&](const char* name, int64_t rows, int64_t columns, int64_t stacked = 1) {
        return site.store.add({site.name + "." + name, {rows, columns}, Role::matrix, init, stacked});
    };
    qkv_ = matrix("qkv", 2 * keys + all, d, all % keys ? 1 : 2 + all / keys);
    gate_ = matrix("gate", all, d);
    decay_in_ = matrix("decay_in", values.decay_rank, d);
    decay_out_ = matrix("decay_out", keys, values.decay_rank);
    decay_bias_ = site.store.add({site.name + ".decay_bias", {keys}, Role::bias, Init::constant(0)});
    out_ = matrix("out", d, all);
    norm_ = RmsNorm(site.store, site.name + ".norm", cell_.value, site.model.norm_epsilon, kernels::NormGate::after);
}

BranchOutput GlaBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    ops::MatrixStateInput in;
    in.packed_TBX = at::linear(x_TBD, qkv_.tensor());
    in.gates_TBX = at::linear(at::linear(x_TBD, decay_in_.tensor()), decay_out_.tensor(),
                              decay_bias_.tensor().to(x_TBD.scalar_type()));
    in.temperature = values_.decay_temperature;
    const Tensor mixed = cell_.run(in, state, call, out.state);
    out.delta_TBD = at::linear(norm_(mixed, at::linear(x_TBD, gate_.tensor())), out_.tensor());
    return out;
}

StepOutput GlaBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t keys = cell_.keys(), all = cell_.values(), packed = 2 * keys + all;
    float *qkv = program.vector(packed), *gate = program.vector(all), *low = program.vector(values_.decay_rank),
          *left = program.vector(keys), *normed = program.vector(all), *delta = program.vector(width_);
    program.product({.weight = qkv_, .x = x, .y = qkv, .settled = false});
    program.product({.weight = gate_, .x = x, .y = gate, .settled = false});
    program.product({.weight = decay_in_, .x = x, .y = low});
    program.product({.weight = decay_out_, .bias = decay_bias_, .x = low, .y = left, .settled = false});
    program.parts(keys, [=, temperature = float(values_.decay_temperature)](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = row * keys + begin; i < row * keys + end; ++i)
            left[i] = std::exp(log_sigmoid(left[i]) / temperature);
    });
    const StepOutput mixed = cell_.add_step(program, {.q = qkv,
                                                      .k = qkv + keys,
                                                      .v = qkv + 2 * keys,
                                                      .left = left,
                                                      .q_stride = packed,
                                                      .k_stride = packed,
                                                      .v_stride = packed,
                                                      .by_channel = true});
    program.rms_norm(norm_, {.x = mixed.y, .z = gate, .z_stride = all, .heads = cell_.heads, .y = normed});
    program.product({.weight = out_, .x = normed, .y = delta});
    return {delta, mixed.load};
}

double GlaBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_), keys = double(cell_.keys()), all = double(cell_.values()),
                 rank = double(values_.decay_rank);
    return 2 * d * (2 * keys + 3 * all + rank) + 2 * rank * keys + cell_.flops_per_token();
}

double GlaBlock::activation_numbers_per_token(const CostShape&) const {
    const double keys = double(cell_.keys()), all = double(cell_.values());
    return double(width_) + 2 * keys + 4 * all + 5 * keys + double(values_.decay_rank) + cell_.kept_per_token();
}

}  // namespace lithe

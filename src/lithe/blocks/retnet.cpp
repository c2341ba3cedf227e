#include "lithe/blocks/retnet.h"

namespace lithe {

RetnetValues RetnetValues::defaults(const ModelConfig& model) {
    constexpr int64_t kHead = 256;  // the paper's
    return {std::max<int64_t>(1, model.width / kHead), model.width, 2 * model.width};
}

void RetnetValues::visit(FieldVisitor& v) {
    v.field({.name = "heads",
             .help = "heads, each with a state and a decay; default width / 256",
             .minimum = 1,
             .maximum = 4096},
            heads);
    v.field({.name = "key_width",
             .help = "of queries and keys, all heads together; default width",
             .minimum = 1,
             .maximum = 1 << 20},
            key_width);
    v.field({.name = "value_width", .help = "of values; default 2 x width", .minimum = 1, .maximum = 1 << 20},
            value_width);
}

void RetnetValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    check_heads(where, "key_width", key_width, 2 * heads, problems);  // numbers are turned in pairs
    check_heads(where, "value_width", value_width, heads, problems);
}

RetnetBlock::RetnetBlock(const RetnetValues& values, const BlockSite& site)
    : width_(site.model.width),
      cell_{values.heads, values.key_width / values.heads, values.value_width / values.heads,
            1 / std::sqrt(double(values.key_width) / double(values.heads))} {
    const int64_t d = width_, keys = values.key_width, all = values.value_width;
    const Init init = Init::normal(0.02);
    auto matrix = [&](const char* name, int64_t rows, int64_t columns, int64_t stacked = 1) {
        return site.store.add({site.name + "." + name, {rows, columns}, Role::matrix, init, stacked});
    };
    qkv_ = matrix("qkv", 2 * keys + all, d, all % keys ? 1 : 2 + all / keys);
    gate_ = matrix("gate", all, d);
    out_ = matrix("out", d, all);
    norm_ = RmsNorm(site.store, site.name + ".norm", cell_.value, site.model.norm_epsilon, kernels::NormGate::after);
}

namespace {

// Steps before this segment that were no padding, [B]; then positions within it, and what the next one begins with.
struct StepPositions {
    Tensor now_TB, next_B;
    StepPositions(const Tensor& x_TBD, const State& state, const Call& call) {
        const at::NoGradGuard no_grad;
        const auto options = at::TensorOptions(at::kLong).device(x_TBD.device());
        const int64_t steps = x_TBD.size(0), batch = x_TBD.size(1);
        Tensor first_B = state.get("position");
        if (!first_B.defined()) first_B = at::zeros({batch}, options);
        const Tensor counts_TB = call.pass.marks ? call.pass.marks->padding_BT.transpose(0, 1).eq(0).to(at::kLong)
                                                 : at::ones({steps, batch}, options);
        now_TB = first_B + counts_TB.cumsum(0) - counts_TB;
        next_B = first_B + counts_TB.sum(0);
    }
};

}  // namespace

BranchOutput RetnetBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const int64_t steps = x_TBD.size(0), batch = x_TBD.size(1);
    const auto compute = ops::compute_type(x_TBD.scalar_type());
    const StepPositions positions(x_TBD, state, call);
    const Tensor angles =
        ops::rotary_angles_at(rotary(), positions.now_TB, x_TBD.options().dtype(compute).requires_grad(false));
    const Tensor qkv = ops::rotary(at::linear(x_TBD, qkv_.tensor()), rotary(), 2 * cell_.heads, angles);  // of q and k
    const auto parts = qkv.split_with_sizes({cell_.keys(), cell_.keys(), cell_.values()}, 2);
    auto heads = [&](const Tensor& x, int64_t size) { return x.unflatten(2, {cell_.heads, size}); };
    ops::MatrixStateInput in;
    in.q_TBHK = heads(parts[0], cell_.key);
    in.k_TBHK = heads(parts[1], cell_.key);
    in.v_TBHV = heads(parts[2], cell_.value);
    std::vector<double> decays;
    for (int64_t head = 0; head < cell_.heads; ++head) decays.push_back(log_decay(head));
    in.g_TBX = at::tensor(decays, at::kDouble).to(x_TBD.device(), compute).expand({steps, batch, cell_.heads});
    const Tensor mixed = cell_.run(in, state, call, out.state);
    out.state.put("position", positions.next_B, 0);
    out.delta_TBD = at::linear(norm_(mixed, at::linear(x_TBD, gate_.tensor())), out_.tensor());
    return out;
}

StepOutput RetnetBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t keys = cell_.keys(), all = cell_.values(), packed = 2 * keys + all;
    float *qkv = program.vector(packed), *gate = program.vector(all), *left = program.vector(cell_.heads),
          *position = program.carried(1), *normed = program.vector(all), *delta = program.vector(width_);
    program.product({.weight = qkv_, .x = x, .y = qkv, .settled = false});
    program.product({.weight = gate_, .x = x, .y = gate});
    program.each_row([=, cell = cell_, turn = rotary()](int64_t row) {
        ops::rotary_step(qkv + row * packed, 2 * keys, turn, int64_t(position[row]));  // q and k
        for (int64_t head = 0; head < cell.heads; ++head)
            left[row * cell.heads + head] = float(std::exp(log_decay(head)));
        position[row] += 1;
    });
    const StepOutput mixed = cell_.add_step(program, {.q = qkv,
                                                      .k = qkv + keys,
                                                      .v = qkv + 2 * keys,
                                                      .left = left,
                                                      .q_stride = packed,
                                                      .k_stride = packed,
                                                      .v_stride = packed});
    program.rms_norm(norm_, {.x = mixed.y, .z = gate, .z_stride = all, .heads = cell_.heads, .y = normed});
    program.product({.weight = out_, .x = normed, .y = delta});
    return {delta, [=, load = mixed.load](const State& state, int64_t row) {
                load(state, row);
                copy_state(state.get("position"), 1, position + row);
            }};
}

double RetnetBlock::flops_per_token(const CostShape&) const {
    return 2 * double(width_) * double(2 * cell_.keys() + 3 * cell_.values()) + cell_.flops_per_token();
}

double RetnetBlock::activation_numbers_per_token(const CostShape&) const {
    return double(width_) + 4 * double(cell_.keys()) + 4 * double(cell_.values()) + cell_.kept_per_token();
}

}  // namespace lithe

#include "lithe/blocks/mlstm.h"

#include <tuple>

#include "lithe/blocks/layer_place.h"
#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe {
namespace {

constexpr double kFirstInput = -10, kFirstForget = 3, kLastForget = 6;  // biases of gates at the start

std::vector<double> first_biases(int64_t heads) {
    std::vector<double> values(size_t(heads), kFirstInput);
    for (int64_t h = 0; h < heads; ++h)
        values.push_back(kFirstForget + (heads > 1 ? (kLastForget - kFirstForget) * double(h) / double(heads - 1) : 0));
    return values;
}

// One head of one row in a program of single steps.
struct StepHead {
    int64_t key;
    const float *q, *k;
    float *admitted, *n;  // k by its gate; carried
    float& m;

    // What is left of the state, and one over what is read is divided by.
    std::pair<float, float> advance(float input, float forget, float scale) {
        const float decayed = log_sigmoid(forget) + m, before = m = std::max(decayed, input);
        const float left = std::exp(decayed - before), admits = std::exp(input - before);
        float sum = 0;
        for (int64_t c = 0; c < key; ++c) {
            admitted[c] = admits * k[c];
            n[c] = left * n[c] + admitted[c];
            sum += scale * q[c] * n[c];
        }
        const auto farthest = float(kernels::kFarthestSum);
        return {left, 1 / std::max(std::abs(sum), std::exp(std::clamp(-m, -farthest, farthest)))};
    }
};

// A head's values, divided, with the norm of their own and what a sigmoid lets through.
void norm_and_gate(float* y, int64_t value, float over, float epsilon, const float* gain, const float* gate) {
    float mean = 0, variance = 0;
    for (int64_t n = 0; n < value; ++n) mean += y[n] * over / float(value);
    for (int64_t n = 0; n < value; ++n) variance += (y[n] * over - mean) * (y[n] * over - mean) / float(value);
    const float factor = 1 / std::sqrt(variance + epsilon);
    for (int64_t n = 0; n < value; ++n) y[n] = (y[n] * over - mean) * factor * gain[n] / (1 + std::exp(-gate[n]));
}

}  // namespace

MlstmValues MlstmValues::defaults(const ModelConfig& model) {
    MlstmValues values;
    values.key_width = std::max<int64_t>(1, model.width / 2);
    values.value_width = model.width;
    return values;
}

void MlstmValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "heads, each with a state", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "key_width",
             .help = "of queries and keys, all heads together; default width / 2",
             .minimum = 1,
             .maximum = 1 << 20},
            key_width);
    v.field({.name = "value_width", .help = "of values; default width", .minimum = 1, .maximum = 1 << 20}, value_width);
    v.field({.name = "gate_cap",
             .help = "sums g of gates become gate_cap tanh(g / gate_cap)",
             .minimum = 1e-3,
             .maximum = 1e6},
            gate_cap);
}

void MlstmValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    check_heads(where, "key_width", key_width, heads, problems);
    check_heads(where, "value_width", value_width, heads, problems);
}

MlstmBlock::MlstmBlock(const MlstmValues& values, const BlockSite& site)
    : width_(site.model.width),
      cap_(values.gate_cap),
      epsilon_(site.model.norm_epsilon),
      cell_{values.heads, values.key_width / values.heads, values.value_width / values.heads,
            1 / std::sqrt(double(values.key_width) / double(values.heads))} {
    const int64_t d = width_, keys = values.key_width, all = values.value_width;
    const auto matrix = [&](const char* name, std::vector<int64_t> shape, const Init& init, int64_t stacked = 1) {
        return site.store.add({site.name + name, std::move(shape), Role::matrix, init, stacked});
    };
    const Init small = Init::normal(std::sqrt(2 / (5 * double(d))));
    const double layers = double(LayerPlace(site, "mlstm").layers);
    qkv_ = matrix(".qkv", {2 * keys + all, d}, small, all % keys ? 1 : 2 + all / keys);
    gates_ = matrix(".gates", {2 * values.heads, d}, Init::constant(0), 2);
    gates_bias_ = site.store.add(
        {site.name + ".gates_bias", {2 * values.heads}, Role::bias, Init::rows(first_biases(values.heads))});
    gate_ = matrix(".gate", {all, d}, Init::constant(0));
    gain_ = site.store.add({site.name + ".gain", {all}, Role::vector, Init::constant(1)});
    out_ = matrix(".out", {d, all}, Init::normal(2 / layers / std::sqrt(double(d))));
}

BranchOutput MlstmBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const auto type = x_TBD.scalar_type(), compute = ops::compute_type(type);
    const Tensor sums = at::linear(x_TBD, gates_.tensor()).to(compute) + gates_bias_.tensor();
    const auto gates = (cap_ * (sums / cap_).tanh()).chunk(2, -1);
    ops::MatrixStateInput in;
    in.packed_TBX = at::linear(x_TBD, qkv_.tensor());
    in.g_TBX = at::log_sigmoid(gates[1]);
    in.admit_TBH = gates[0];
    const Tensor h = cell_.run(in, state, call, out.state).unflatten(2, {cell_.heads, cell_.value});
    const Tensor normed = at::layer_norm(h, {cell_.value}, {}, {}, epsilon_).flatten(2) * gain_.tensor().to(type);
    out.delta_TBD = at::linear(normed * at::linear(x_TBD, gate_.tensor()).sigmoid(), out_.tensor());
    return out;
}

StepOutput MlstmBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const MatrixStateCell cell = cell_;
    const int64_t heads = cell.heads, keys = cell.keys(), all = cell.values(), packed = 2 * keys + all;
    float *qkv = program.vector(packed), *gates = program.vector(2 * heads), *gate = program.vector(all),
          *admitted = program.vector(keys), *left = program.vector(heads), *over = program.vector(heads),
          *delta = program.vector(width_), *n = program.carried(keys), *m = program.carried(heads);
    program.product({.weight = qkv_, .x = x, .y = qkv, .settled = false});
    program.product({.weight = gate_, .x = x, .y = gate, .settled = false});
    program.product({.weight = gates_, .bias = gates_bias_, .x = x, .y = gates});
    program.each_row([=, cap = float(cap_)](int64_t row) {
        const auto capped = [&](int64_t i) { return cap * std::tanh(gates[row * 2 * heads + i] / cap); };
        for (int64_t h = 0; h < heads; ++h) {
            const int64_t at = row * heads + h;
            const float* q = qkv + row * packed + h * cell.key;
            StepHead head{cell.key, q, q + keys, admitted + at * cell.key, n + at * cell.key, m[at]};
            std::tie(left[at], over[at]) = head.advance(capped(h), capped(heads + h), float(cell.scale));
        }
    });
    const StepOutput mixed = cell.add_step(program, {.q = qkv,
                                                     .k = admitted,
                                                     .v = qkv + 2 * keys,
                                                     .left = left,
                                                     .q_stride = packed,
                                                     .k_stride = keys,
                                                     .v_stride = packed});
    float* y = program.vector(all);
    program.each_row(
        [=, from = mixed.y, gain = gain_.tensor().data_ptr<float>(), epsilon = float(epsilon_)](int64_t row) {
            std::copy_n(from + row * all, all, y + row * all);
            for (int64_t h = 0; h < heads; ++h) {
                const int64_t first = h * cell.value, at = row * all + first;
                norm_and_gate(y + at, cell.value, over[row * heads + h], epsilon, gain + first, gate + at);
            }
        });
    program.product({.weight = out_, .x = y, .y = delta});
    return {delta, [=, load = mixed.load](const State& state, int64_t row) {
                load(state, row);
                const Tensor sums = state.get("sums");
                const Tensor parts = sums.defined() ? sums.view({heads, cell.key + 1}) : sums;
                copy_state(parts.defined() ? parts.narrow(1, 0, cell.key).contiguous() : parts, keys, n + row * keys);
                copy_state(parts.defined() ? parts.select(1, cell.key).contiguous() : parts, heads, m + row * heads);
            }};
}

double MlstmBlock::flops_per_token(const CostShape&) const {
    const double keys = double(cell_.keys()), all = double(cell_.values());
    return 2 * double(width_) * (2 * keys + 3 * all + 2 * double(cell_.heads)) + cell_.flops_per_token();
}

// x; q, k, v; h, its norm and what is let through; both gates and their sums in fp32.
double MlstmBlock::activation_numbers_per_token(const CostShape&) const {
    const double keys = double(cell_.keys()), all = double(cell_.values());
    return double(width_) + 2 * keys + 7 * all + 16 * double(cell_.heads) + cell_.kept_per_token();
}

}  // namespace lithe

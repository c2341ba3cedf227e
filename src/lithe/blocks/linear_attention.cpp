#include "lithe/blocks/linear_attention.h"

#include "lithe/blocks/feature_attention.h"
#include "lithe/blocks/look.h"

namespace lithe {
namespace {

constexpr double kEpsilon = 1e-6;  // of the denominator; the authors' code

Tensor phi(const Tensor& x) { return at::elu(x) + 1; }

}  // namespace

LinearAttentionValues LinearAttentionValues::defaults(const ModelConfig& model) { return {.heads = model.heads}; }

void LinearAttentionValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the four products"}, bias);
}

void LinearAttentionValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_heads(where, "width", model.width, heads, problems);
}

LinearAttentionBlock::LinearAttentionBlock(const LinearAttentionValues& values, const BlockSite& site)
    : width_(site.model.width),
      cell_{
          .heads = values.heads, .key = width_ / values.heads, .value = width_ / values.heads + 1, .is_mixture = false},
      qkv_(site, "qkv", {3, width_, width_}, values.bias, Init::xavier(width_, width_)),
      out_(site, "out", {1, width_, width_}, values.bias, Init::xavier(width_, width_)) {}

BranchOutput LinearAttentionBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const auto parts = qkv_(x_TBD).split(width_, 2);
    auto heads = [&](const Tensor& x) { return x.unflatten(2, {cell_.heads, cell_.key}); };
    ops::MatrixStateInput in{
        .q_TBHK = heads(phi(parts[0])), .k_TBHK = heads(phi(parts[1])), .v_TBHV = with_ones(heads(parts[2]))};
    const Tensor sums = call.pass.causal
                            ? cell_.run(in, state, call, out.state).unflatten(2, {cell_.heads, cell_.value})
                            : sums_over_all(in.q_TBHK, in.k_TBHK, in.v_TBHV, call.pass);
    const Tensor mixed = sums.narrow(3, 0, cell_.key) / (sums.narrow(3, cell_.key, 1) + kEpsilon);
    show(call, {parts[2], 0, mixed.flatten(2), cell_.heads});
    out.delta_TBD = out_(mixed.flatten(2));
    return out;
}

StepOutput LinearAttentionBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t d = width_, key = cell_.key, value = cell_.value, sums = cell_.values();
    float *qkv = program.vector(3 * d), *v = program.vector(sums), *mixed = program.vector(d),
          *delta = program.vector(d);
    program.product({.weight = qkv_.weight, .bias = qkv_.bias, .x = x, .y = qkv, .planes = 3, .settled = false});
    program.parts(d, [=](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            float *q = qkv + row * 3 * d + i, *k = q + d;
            *q = *q > 0 ? *q + 1 : std::exp(*q);
            *k = *k > 0 ? *k + 1 : std::exp(*k);
            float* to = v + row * sums + i / key * value + i % key;
            *to = qkv[row * 3 * d + 2 * d + i];
            if (i % key == key - 1) to[1] = 1;
        }
    });
    const StepOutput state = cell_.add_step(
        program, {.q = qkv, .k = qkv + d, .v = v, .q_stride = 3 * d, .k_stride = 3 * d, .v_stride = sums});
    program.parts(d, [=, from = state.y](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const float* head = from + row * sums + i / key * value;
            mixed[row * d + i] = head[i % key] / (head[key] + float(kEpsilon));
        }
    });
    program.product({.weight = out_.weight, .bias = out_.bias, .x = mixed, .y = delta});
    return {delta, state.load};
}

double LinearAttentionBlock::flops_per_token(const CostShape&) const {
    return 8 * double(width_) * double(width_) + cell_.flops_per_token();
}

double LinearAttentionBlock::activation_numbers_per_token(const CostShape&) const {
    return 12 * double(width_) + cell_.kept_per_token();
}

}  // namespace lithe

#include "lithe/blocks/relative_attention.h"

#include "lithe/blocks/look.h"
#include "lithe/nn/sinusoids.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/relative_attention.h"

namespace lithe {

RelativeAttentionBlock::RelativeAttentionBlock(const AttentionValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      dropout_(site.model.dropout),
      qkv_(site, "qkv", {3, width_, width_}, values.bias, values.matrix_init(width_)),
      positions_(site, "positions", {1, width_, width_}, false, values.matrix_init(width_)),
      out_(site, "out", {1, width_, width_}, values.bias, values.matrix_init(width_)) {
    const std::string owner = values.tie_position_biases ? "position_bias" : site.name;
    auto bias = [&](const char* name) {
        return site.store.add_shared({owner + "." + name, {width_}, Role::vector, Init::normal(0.02)},
                                     values.tie_position_biases);
    };
    u_ = bias("u");
    v_ = bias("v");
}

BranchOutput RelativeAttentionBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    ops::RelativeAttentionInput in{
        .qkv_TBX = qkv_(x_TBD), .u_P = u_.tensor(), .v_P = v_.tensor(), .heads = values_.heads};
    const Recalled recalled =
        recall(state, x_TBD, call, [&](const Tensor& memory_MBD) { return qkv_(call.normed(memory_MBD), width_); });
    in.memory_MBX = recalled.memory_MBX;
    in.mask = recalled.mask.mask;
    const int64_t keys = recalled.length() + x_TBD.size(0);
    const int64_t clamp = call.pass.clamp_length >= 0 ? call.pass.clamp_length : values_.clamp_length;
    Tensor distances = distance_sinusoids(keys, width_, clamp, x_TBD.options().requires_grad(false));
    if (call.pass.training) {  // one mask for all layers and rows, from the nearest on: padding moves none of it
        const Tensor nearest =
            ops::dropout(distances.flip(0), dropout_, shared_site(call.pass, "distances"), ops::kSharedByRows);
        distances = nearest.flip(0);
        in.dropout = values_.attention_dropout;
        in.dropout_key = call.site("attention");
    }
    in.r_SP = positions_(distances);
    const Tensor mixed = ops::relative_attention(in);
    show(call, {in.qkv_TBX, 2 * width_, mixed, values_.heads});
    out.delta_TBD = out_(mixed);
    remember(state, recalled, call.entering(x_TBD), in.qkv_TBX.narrow(2, width_, 2 * width_), call, out.state);
    return out;
}

StepOutput RelativeAttentionBlock::add_step(StepProgram& program, const float* x, int64_t memory) const {
    float *qkv = program.vector(3 * width_), *mixed = program.vector(width_), *delta = program.vector(width_);
    float *content = program.vector(width_), *place = program.vector(width_);
    program.product({.weight = qkv_.weight, .bias = qkv_.bias, .x = x, .y = qkv});
    const Tensor u = u_.tensor().detach().to(at::kFloat), v = v_.tensor().detach().to(at::kFloat);
    program.parts(width_, [=, width = width_](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            content[row * width + i] = qkv[row * 3 * width + i] + u.data_ptr<float>()[i];
            place[row * width + i] = qkv[row * 3 * width + i] + v.data_ptr<float>()[i];
        }
    });
    at::NoGradGuard no_grad;
    const Tensor distances = distance_sinusoids(memory + 1, width_, values_.clamp_length, at::kFloat).flip(0);
    auto load = program.attention({.q = content,
                                   .kv = qkv + width_,
                                   .q_stride = width_,
                                   .kv_stride = 3 * width_,
                                   .width = width_,
                                   .heads = values_.heads,
                                   .memory = memory,
                                   .out = mixed,
                                   .distance_q = place,
                                   .distance_r = at::linear(distances, positions_.weight.tensor().to(at::kFloat))});
    program.product({.weight = out_.weight, .bias = out_.bias, .x = mixed, .y = delta});
    return {delta, [load](const State& state, int64_t row) { load(state.get("projections"), row); }};
}

double RelativeAttentionBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_);
    const double positions = double(shape.memory + shape.length) / double(shape.length * shape.batch);
    return 8 * d * d + 6 * shape.keys() * d + shape.again() * 4 * d * d + positions * 2 * d * d;
}

double RelativeAttentionBlock::flops_without_input_gradient(const CostShape& shape) const {
    const double d = double(width_);
    const double positions = double(shape.memory + shape.length) / double(shape.length * shape.batch);
    return shape.again() * 4 * d * d + positions * 2 * d * d + (shape.kept ? 4 * double(shape.memory) * d : 0);
}

double RelativeAttentionBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double span = 1 + double(shape.memory) / double(shape.length);
    return double(width_) * (6 + 2 * span) + kept_scores(shape, values_.heads, values_.attention_dropout, 3);
}

}  // namespace lithe

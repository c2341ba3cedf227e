#include "lithe/blocks/feed_forward.h"

#include "lithe/ops/dropout.h"
#include "lithe/ops/glu.h"

namespace lithe {

FeedForwardValues FeedForwardValues::defaults(const ModelConfig& model) {
    FeedForwardValues values;
    values.inner = 4 * model.width;
    values.dropout = model.dropout;
    return values;
}

void FeedForwardValues::visit(FieldVisitor& v) {
    v.field({.name = "inner", .help = "inner size; default 4 x width", .minimum = 1, .maximum = 1 << 22}, inner);
    v.field({.name = "activation",
             .help = "of the inner layer: gelu (exact), gelu_tanh, relu, squared_relu; or gated, with half as many "
                     "products again: swiglu, geglu, reglu, glu"},
            activation);
    v.field({.name = "bias", .help = "biases in the products"}, bias);
    v.field({.name = "dropout", .help = "of the inner layer", .minimum = 0, .maximum = 0.99}, dropout);
}

std::optional<kernels::GluGate> FeedForwardValues::gate() const {
    switch (activation) {
        case FeedForwardActivation::gelu:
        case FeedForwardActivation::gelu_tanh:
        case FeedForwardActivation::relu:
        case FeedForwardActivation::squared_relu: break;
        case FeedForwardActivation::glu: return kernels::GluGate::sigmoid;
        case FeedForwardActivation::swiglu: return kernels::GluGate::silu;
        case FeedForwardActivation::geglu: return kernels::GluGate::gelu;
        case FeedForwardActivation::reglu: return kernels::GluGate::relu;
    }
    return std::nullopt;
}

FeedForwardBlock::FeedForwardBlock(const FeedForwardValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width) {
    const int64_t d = width_, inner = values.inner;
    w1_ = site.store.add({site.name + ".w1", {planes() * inner, d}, Role::matrix, Init::xavier(d, inner), planes()});
    w2_ = site.store.add({site.name + ".w2", {d, inner}, Role::matrix, Init::xavier(inner, d)});
    if (!values.bias) return;
    b1_ = site.store.add({site.name + ".b1", {planes() * inner}, Role::bias, Init::constant(0)});
    b2_ = site.store.add({site.name + ".b2", {d}, Role::bias, Init::constant(0)});
}

Tensor FeedForwardBlock::activated(const Tensor& inner) const {
    if (const auto gate = values_.gate()) return ops::glu(inner, *gate);
    switch (values_.activation) {
        case FeedForwardActivation::gelu_tanh: return at::gelu(inner, "tanh");
        case FeedForwardActivation::relu: return at::relu(inner);
        case FeedForwardActivation::squared_relu: return at::relu(inner).square();
        default: return at::gelu(inner);
    }
}

Tensor FeedForwardBlock::formula(const Tensor& x_xD, const std::function<Tensor(const Tensor&)>& dropped) const {
    const auto bias = [&](const Parameter& b) { return b ? b.tensor().to(x_xD.scalar_type()) : Tensor(); };
    const Tensor inner = dropped(activated(at::linear(x_xD, w1_.tensor(), bias(b1_))));
    return at::linear(inner, w2_.tensor(), bias(b2_));
}

BranchOutput FeedForwardBlock::branch(const Tensor& x_TBD, const State&, const Call& call) const {
    BranchOutput out;
    out.delta_TBD = formula(x_TBD, [&](const Tensor& inner) {
        return call.pass.training ? ops::dropout(inner, values_.dropout, call.site("inner"), 1) : inner;
    });
    return out;
}

static StepProgram::Activation step_activation(FeedForwardActivation activation) {
    switch (activation) {
        case FeedForwardActivation::gelu: return StepProgram::Activation::gelu;
        case FeedForwardActivation::gelu_tanh: return StepProgram::Activation::gelu_tanh;
        case FeedForwardActivation::relu: return StepProgram::Activation::relu;
        case FeedForwardActivation::squared_relu: return StepProgram::Activation::squared_relu;
        default: return StepProgram::Activation::none;
    }
}

StepOutput FeedForwardBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    float *inner = program.vector(planes() * values_.inner), *delta = program.vector(width_);
    program.product({.weight = w1_,
                     .bias = b1_,
                     .x = x,
                     .y = inner,
                     .planes = planes(),
                     .activation = step_activation(values_.activation),
                     .settled = planes() == 1});
    const float* y = inner;
    if (const auto gate = values_.gate()) {
        float* let_through = program.vector(values_.inner);
        y = let_through;
        program.parts(values_.inner,
                      [gate, inner, let_through, size = values_.inner](int64_t row, int64_t begin, int64_t end) {
                          const float* g = inner + row * 2 * size + begin;
                          kernels::glu_forward<float>({.gate = *gate,
                                                       .rows = 1,
                                                       .inner = end - begin,
                                                       .g = g,
                                                       .u = g + size,
                                                       .y = let_through + row * size + begin});
                      });
    }
    program.product({.weight = w2_, .bias = b2_, .x = y, .y = delta});
    return {delta, {}};
}

double FeedForwardBlock::flops_per_token(const CostShape&) const {
    return (2 + 2 * double(planes())) * double(width_) * double(values_.inner);
}

double FeedForwardBlock::activation_numbers_per_token(const CostShape&) const {
    const auto inner = double(values_.inner);
    if (planes() == 2) return 2 * double(width_) + 3 * inner;  // g, u and what is let through
    // relu keeps what it gives; the others what they are given, too
    return 2 * double(width_) + (values_.activation == FeedForwardActivation::relu ? 1 : 2) * inner;
}

}  // namespace lithe

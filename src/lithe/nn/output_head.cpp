#include "lithe/nn/output_head.h"

#include "lithe/ops/cross_entropy.h"

namespace lithe {

OutputHead::OutputHead(ParameterStore& store, const Shape& shape) : vocabulary_(shape.vocabulary), width_(shape.width) {
    const int64_t d = width_;
    if (shape.transform) {
        transform_ = store.add({"head.transform.weight", {d, d}, Role::matrix, Init::xavier(d, d)});
        transform_bias_ = store.add({"head.transform.bias", {d}, Role::vector, Init::constant(0)});
        norm_ = LayerNorm(store, "head.norm", d, shape.norm_epsilon);
    }
    weight_ = shape.tied ? shape.tied : store.add({"head.weight", {vocabulary_, d}, Role::head, shape.init});
    bias_ = store.add({"head.bias", {vocabulary_}, Role::vector, Init::constant(0)});
}

Tensor OutputHead::transformed(const Tensor& h_xD) const {
    if (!transform_) return h_xD;
    return norm_(at::gelu(at::linear(h_xD, transform_.tensor(), transform_bias_.tensor().to(h_xD.scalar_type()))));
}

Tensor OutputHead::logits(const Tensor& h_xD) const {
    return at::linear(transformed(h_xD), weight_.tensor()).to(ops::compute_type(h_xD.scalar_type())) + bias_.tensor();
}

Tensor OutputHead::loss(const Tensor& h_ND, const Tensor& targets_N) const {
    return ops::linear_cross_entropy(transformed(h_ND), weight_.tensor(), bias_.tensor(), targets_N);
}

double OutputHead::flops_per_token() const {
    const double d = double(width_);
    return 2 * d * double(vocabulary_) + (transform_ ? 2 * d * d : 0);
}

}  // namespace lithe

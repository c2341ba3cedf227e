#include "lithe/model/token_head.h"

namespace lithe {

TokenHead::TokenHead(LanguageModel& model, const std::string& name) : width_(model.config().width) {
    ParameterStore& store = model.parameters();
    const ParameterStore::Scope scope(store, name);
    weight_ = store.add({"transform.weight", {width_, width_}, Role::matrix, Init::xavier(width_, width_)});
    bias_ = store.add({"transform.bias", {width_}, Role::bias, Init::constant(0)});
    output_ = store.add({"weight", {1, width_}, Role::head, Init::normal(0.02)});
    output_bias_ = store.add({"bias", {1}, Role::bias, Init::constant(0)});
}

Tensor TokenHead::operator()(const Tensor& h_TBD) const {
    const Tensor t_TBD = at::gelu(at::linear(h_TBD, weight_.tensor(), bias_.tensor().to(h_TBD.scalar_type())));
    const auto compute = ops::compute_type(h_TBD.scalar_type());
    return at::linear(t_TBD, output_.tensor()).squeeze(2).to(compute) + output_bias_.tensor();
}

}  // namespace lithe

#include "lithe/model/sequence_head.h"

namespace lithe {

SequenceHead::SequenceHead(LanguageModel& model, const SequenceHeadOptions& options) : options_(options) {
    ParameterStore& store = model.parameters();
    const std::string name = kName;
    weight_ = store.add({name + ".weight", {options.outputs, model.config().width}, Role::head, Init::normal(0.02)});
    bias_ = store.add({name + ".bias", {options.outputs}, Role::bias, Init::constant(0)});
}

Tensor SequenceHead::pooled(const Tensor& h_TBD, const Pass& pass) const {
    if (options_.pooling == Pooling::first) return h_TBD.select(0, 0);
    const Tensor padding_BT = pass.marks ? pass.marks->padding_BT : Tensor();
    const int64_t steps = h_TBD.size(0);
    if (options_.pooling == Pooling::last) {
        if (!padding_BT.defined()) return h_TBD.select(0, steps - 1);
        const Tensor last_B = (steps - 1 - padding_BT.to(at::kLong).sum(1)).clamp_min(0);
        return h_TBD.gather(0, last_B.view({1, -1, 1}).expand({1, h_TBD.size(1), h_TBD.size(2)})).squeeze(0);
    }
    if (!padding_BT.defined()) return h_TBD.mean(0);
    const Tensor counts_TB1 = padding_BT.eq(0).transpose(0, 1).unsqueeze(2).to(h_TBD.scalar_type());
    const Tensor texts_B1 = counts_TB1.sum(0, false, ops::compute_type(h_TBD.scalar_type())).clamp_min(1);
    return (h_TBD * counts_TB1)
        .sum(0, false, ops::compute_type(h_TBD.scalar_type()))
        .div(texts_B1)
        .to(h_TBD.scalar_type());
}

Tensor SequenceHead::operator()(const LanguageModel& model, const Tensor& h_TBD, const Pass& pass) const {
    Tensor v_BD = pooled(h_TBD, pass);
    if (model.has_pooler()) v_BD = model.pooler(v_BD);
    if (pass.training) v_BD = ops::dropout(v_BD, options_.dropout, shared_site(pass, kName), 0);
    // so small a product is as fast, and numbers that are near one another stay apart
    const auto compute = ops::compute_type(h_TBD.scalar_type());
    return at::linear(v_BD.to(compute), weight_.tensor().to(compute), bias_.tensor());
}

}  // namespace lithe

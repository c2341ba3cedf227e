#include "lithe/model/sequence_head.h"

namespace lithe {

SequenceHead::SequenceHead(LanguageModel& model, const SequenceHeadOptions& options) : options_(options) {
    ParameterStore& store = model.parameters();
    const std::string name = kName;
    const int64_t width = model.config().width * (options.of_pairs ? 4 : 1);
    weight_ = store.add({name + ".weight", {options.outputs, width}, Role::head, Init::normal(0.02)});
    bias_ = store.add({name + ".bias", {options.outputs}, Role::bias, Init::constant(0)});
}

Tensor SequenceHead::chosen(const Tensor& h_TBD, const Pass& pass) const {
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

Tensor SequenceHead::pooled(const LanguageModel& model, const Tensor& h_TBD, const Pass& pass) const {
    const Tensor v_BD = chosen(h_TBD, pass);
    return model.has_pooler() ? model.pooler(v_BD) : v_BD;
}

Tensor SequenceHead::operator()(const Tensor& v_BD, const Pass& pass) const {
    const Tensor kept_BD = pass.training ? ops::dropout(v_BD, options_.dropout, shared_site(pass, kName), 0) : v_BD;
    // so small a product is as fast, and numbers that are near one another stay apart
    const auto compute = ops::compute_type(v_BD.scalar_type());
    return at::linear(kept_BD.to(compute), weight_.tensor().to(compute), bias_.tensor());
}

Tensor SequenceHead::operator()(const Tensor& first_BD, const Tensor& second_BD, const Pass& pass) const {
    return (*this)(at::cat({first_BD, second_BD, (first_BD - second_BD).abs(), first_BD * second_BD}, 1), pass);
}

}  // namespace lithe

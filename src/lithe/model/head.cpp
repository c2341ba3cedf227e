#include "lithe/model/head.h"

#include <algorithm>

#include "lithe/nn/norm.h"
#include "lithe/ops/cross_entropy.h"

namespace lithe {
namespace {

// A product with the output embeddings.
class LinearHead : public Head {
 public:
    LinearHead(ParameterStore& store, const HeadShape& shape)
        : width_(shape.width),
          outputs_(shape.outputs),
          weight_(shape.tied ? shape.tied
                             : store.add({"head.weight", {shape.outputs, shape.width}, Role::head, shape.init})) {
        if (shape.bias) bias_ = store.add({"head.bias", {shape.outputs}, Role::bias, Init::constant(0)});
    }

    Tensor logits(const Tensor& h_xD) const override {
        const Tensor products = at::linear(h_xD, weight_.tensor()).to(ops::compute_type(h_xD.scalar_type()));
        return bias_ ? products + bias_.tensor() : products;
    }
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N, double smoothing) const override {
        const Tensor bias =
            bias_ ? bias_.tensor()
                  : at::zeros({outputs_},
                              h_ND.options().dtype(ops::compute_type(h_ND.scalar_type())).requires_grad(false));
        return ops::linear_cross_entropy(h_ND, weight_.tensor(), bias, targets_N, smoothing);
    }
    double flops_per_token() const override { return 2 * double(width_) * double(outputs_); }
    bool add_step(StepProgram& program, const float* h, float* y) const override {
        program.product({.weight = weight_, .bias = bias_, .x = h, .y = y});
        return true;
    }

 private:
    int64_t width_, outputs_;
    Parameter weight_, bias_;
};

// The same behind BERT's transform (Devlin et al. 2019, as in the authors' code: product, gelu, layer norm).
class TransformHead : public Head {
 public:
    TransformHead(ParameterStore& store, const HeadShape& shape)
        : width_(shape.width),
          weight_(store.add({"head.transform.weight",
                             {shape.width, shape.width},
                             Role::matrix,
                             Init::xavier(shape.width, shape.width)})),
          bias_(store.add({"head.transform.bias", {shape.width}, Role::bias, Init::constant(0)})),
          norm_(store, "head.norm", shape.width, shape.norm_epsilon),
          linear_(store, shape) {}

    Tensor logits(const Tensor& h_xD) const override { return linear_.logits(transformed(h_xD)); }
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N, double smoothing) const override {
        return linear_.loss(transformed(h_ND), targets_N, smoothing);
    }
    double flops_per_token() const override { return 2 * double(width_) * double(width_) + linear_.flops_per_token(); }

 private:
    Tensor transformed(const Tensor& h_xD) const {
        return norm_(at::gelu(at::linear(h_xD, weight_.tensor(), bias_.tensor().to(h_xD.scalar_type()))));
    }
    int64_t width_;
    Parameter weight_, bias_;
    LayerNorm norm_;
    LinearHead linear_;
};

// The adaptive softmax of embeddings in bins (nn/adaptive_vocabulary.h); its logits are log-probabilities.
class AdaptiveHead : public Head {
 public:
    AdaptiveHead(ParameterStore&, const HeadShape& shape) : vocabulary_(shape.adaptive), outputs_(shape.outputs) {}

    Tensor logits(const Tensor& h_xD) const override {
        std::vector<int64_t> sizes = h_xD.sizes().vec();
        sizes.back() = outputs_;
        return vocabulary_.log_probabilities(h_xD.reshape({-1, h_xD.size(-1)})).view(sizes);
    }
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N, double smoothing) const override {
        if (smoothing > 0) fail_usage("an adaptive softmax has no label smoothing", "model.adaptive.cutoffs");
        return vocabulary_.loss(h_ND, targets_N);
    }
    double flops_per_token() const override { return vocabulary_.flops_per_token(); }

 private:
    AdaptiveVocabulary vocabulary_;
    int64_t outputs_;
};

template <class Kind> std::unique_ptr<Head> make(ParameterStore& store, const HeadShape& shape) {
    return std::make_unique<Kind>(store, shape);
}

std::unique_ptr<Head> make_none(ParameterStore&, const HeadShape&) { return nullptr; }

}  // namespace

std::span<const HeadKind> head_kinds() {
    static const HeadKind table[] = {
        {HeadForm::linear, "logits of all tokens, by output embeddings of its own or the input's", make<LinearHead>},
        {HeadForm::transform, "a product, gelu and a norm before them, as BERT has", make<TransformHead>},
        {HeadForm::adaptive, "an adaptive softmax, with model.adaptive.cutoffs", make<AdaptiveHead>},
        {HeadForm::none, "no head: a stack's output is all", make_none},
    };
    return table;
}

const HeadKind& head_kind(HeadForm form) {
    const auto kinds = head_kinds();
    return *std::find_if(kinds.begin(), kinds.end(), [&](const HeadKind& kind) { return kind.form == form; });
}

}  // namespace lithe

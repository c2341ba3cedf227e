#include "lithe/model/head.h"

#include <algorithm>

#include "lithe/nn/norm.h"
#include "lithe/ops/cross_entropy.h"

namespace lithe {
namespace {

// Of what output embeddings are multiplied with.
int64_t output_width(const HeadShape& shape) {
    return shape.tied && shape.tied_width > 0 ? shape.tied_width : shape.width;
}

// A product with the output embeddings, behind one to their width where that is another.
class LinearHead : public Head {
 public:
    LinearHead(ParameterStore& store, const HeadShape& shape)
        : width_(shape.width),
          inner_(output_width(shape)),
          outputs_(shape.outputs),
          weight_(shape.tied ? shape.tied
                             : store.add({"head.weight", {shape.outputs, shape.width}, Role::head, shape.init})) {
        if (shape.bias) bias_ = store.add({"head.bias", {shape.outputs}, Role::bias, Init::constant(0)});
        if (inner_ != width_)
            projection_ = store.add({"head.projection", {inner_, width_}, Role::matrix, Init::xavier(width_, inner_)});
    }

    Tensor logits(const Tensor& h_xD) const override {
        const Tensor products = at::linear(projected(h_xD), weight_.tensor()).to(ops::compute_type(h_xD.scalar_type()));
        return bias_ ? products + bias_.tensor() : products;
    }
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N, double smoothing) const override {
        const Tensor bias =
            bias_ ? bias_.tensor()
                  : at::zeros({outputs_},
                              h_ND.options().dtype(ops::compute_type(h_ND.scalar_type())).requires_grad(false));
        return ops::linear_cross_entropy(projected(h_ND), weight_.tensor(), bias, targets_N, smoothing);
    }
    double flops_per_token() const override {
        return 2 * double(inner_) * double(outputs_) + (projection_ ? 2 * double(inner_) * double(width_) : 0);
    }
    bool add_step(StepProgram& program, const float* h, float* y) const override {
        if (projection_) {
            float* inner = program.vector(inner_);
            program.product({.weight = projection_, .bias = {}, .x = h, .y = inner});
            h = inner;
        }
        program.product({.weight = weight_, .bias = bias_, .x = h, .y = y});
        return true;
    }

 private:
    Tensor projected(const Tensor& h_xD) const { return projection_ ? at::linear(h_xD, projection_.tensor()) : h_xD; }
    int64_t width_, inner_, outputs_;
    Parameter weight_, bias_, projection_;
};

// The same behind BERT's transform (Devlin et al. 2019, as in the authors' code: product, gelu, layer norm), which
// leads to the output embeddings' width.
class TransformHead : public Head {
 public:
    TransformHead(ParameterStore& store, const HeadShape& shape)
        : width_(shape.width),
          inner_(output_width(shape)),
          weight_(store.add({"head.transform.weight", {inner_, width_}, Role::matrix, Init::xavier(width_, inner_)})),
          bias_(store.add({"head.transform.bias", {inner_}, Role::bias, Init::constant(0)})),
          norm_(store, "head.norm", inner_, shape.norm_epsilon),
          linear_(store, of_width(shape, inner_)) {}

    Tensor logits(const Tensor& h_xD) const override { return linear_.logits(transformed(h_xD)); }
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N, double smoothing) const override {
        return linear_.loss(transformed(h_ND), targets_N, smoothing);
    }
    double flops_per_token() const override { return 2 * double(width_) * double(inner_) + linear_.flops_per_token(); }

 private:
    Tensor transformed(const Tensor& h_xD) const {
        return norm_(at::gelu(at::linear(h_xD, weight_.tensor(), bias_.tensor().to(h_xD.scalar_type()))));
    }
    static HeadShape of_width(HeadShape shape, int64_t width) {
        shape.width = width;
        return shape;
    }
    int64_t width_, inner_;
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

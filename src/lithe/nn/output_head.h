// From the stack's output to logits: a product with the output embeddings, with BERT's transform before it if asked for
// (Devlin et al. 2019, as in the authors' code: product, gelu, layer norm).
#pragma once

#include "lithe/nn/norm.h"
#include "lithe/nn/parameters.h"

namespace lithe {

class OutputHead {
 public:
    struct Shape {
        int64_t vocabulary = 0, width = 0;
        bool transform = false;
        double norm_epsilon = 1e-5;
        Parameter tied = {};  // the input embeddings, when they serve as output embeddings too
        Init init = {};       // of output embeddings of its own
    };
    OutputHead() = default;
    OutputHead(ParameterStore& store, const Shape& shape);
    explicit operator bool() const { return bool(weight_); }

    Tensor logits(const Tensor& h_xD) const;  // [...][V], at least fp32
    // Summed negative log-likelihood in nats; targets of -1 are not scored.
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N) const;
    double flops_per_token() const;

    const Parameter& weight() const { return weight_; }
    const Parameter& bias() const { return bias_; }
    bool has_transform() const { return bool(transform_); }

 private:
    Tensor transformed(const Tensor& h_xD) const;
    int64_t vocabulary_ = 0, width_ = 0;
    Parameter weight_, bias_, transform_, transform_bias_;
    LayerNorm norm_;
};

}  // namespace lithe

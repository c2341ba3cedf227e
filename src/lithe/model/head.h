// From a stack's output to what is predicted: a table of heads, as block kinds are one. A head knows its outputs'
// logits and the loss of targets.
#pragma once

#include <memory>
#include <span>

#include "lithe/nn/adaptive_vocabulary.h"
#include "lithe/nn/parameters.h"
#include "lithe/nn/step_program.h"
#include "lithe/spec/config_model.h"

namespace lithe {

class Head {
 public:
    virtual ~Head() = default;
    virtual Tensor logits(const Tensor& h_xD) const = 0;  // [...][outputs], at least fp32
    // Summed negative log-likelihood in nats, with label smoothing (kernels/cross_entropy/cross_entropy.h) where asked
    // for; targets of -1 are not scored. Throws usage where the head has no smoothing.
    virtual Tensor loss(const Tensor& h_ND, const Tensor& targets_N, double smoothing) const = 0;
    virtual double flops_per_token() const = 0;
    // One step at batch 1: h [width] to y [outputs]. False: it has none, and nothing was added.
    virtual bool add_step(StepProgram&, const float* /*h*/, float* /*y*/) const { return false; }
};

struct HeadShape {
    int64_t outputs = 0, width = 0;
    double norm_epsilon = 1e-5;
    bool bias = true;
    Parameter tied = {};               // the input embeddings, when they serve as output embeddings too
    int64_t tied_width = 0;            // of these, where they have another one; a product leads there
    Init init = {};                    // of output embeddings of its own
    AdaptiveVocabulary adaptive = {};  // input embeddings that serve both ends
};

struct HeadKind {
    HeadForm form;
    const char* description;
    std::unique_ptr<Head> (*make)(ParameterStore& store, const HeadShape& shape);  // null: no head
};
std::span<const HeadKind> head_kinds();
const HeadKind& head_kind(HeadForm form);

}  // namespace lithe

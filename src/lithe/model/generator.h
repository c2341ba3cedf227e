// ELECTRA's generator (Clark et al. 2020, section 3.2): a narrower stack between a model's own embeddings, which it
// shares, and a prediction of tokens by them.
//
//   x = embeddings of the model (tokens, positions, types, norm)      [D]
//   h = stack(W_in x)                                                 [G]
//   logits = E norm(gelu(W_out h + b)) + c                            [V], E: the model's token embeddings
//
// W_in is left out where G = D.
#pragma once

#include "lithe/model/language_model.h"

namespace lithe {

struct GeneratorOptions {
    double width = 0.25;  // share of the model's, and of its heads
    std::string layout;   // empty: the model's
};

class Generator {
 public:
    static constexpr const char* kName = "generator";  // under which its parameters stand
    // What its stack is configured by: heads are as wide as the model's.
    static ModelConfig stack_config(const ModelConfig& model, const GeneratorOptions& options);
    // Records its parameters in the model's store, which is not materialized.
    Generator(LanguageModel& model, const Config& config, const GeneratorOptions& options);

    // What predicts tokens [T][B][D], of ids [T][B] and flags as a batch has them (undefined: none).
    Tensor hidden(const LanguageModel& model, const Tensor& ids_TB, const Tensor& flags_TB, bool training,
                  const DrawKeys& keys, Aux& aux) const;
    // Of some of it [N][D]: summed negative log-likelihood in nats, and logits [N][V].
    Tensor loss(const Tensor& h_ND, const Tensor& targets_N) const { return head_->loss(h_ND, targets_N, 0); }
    Tensor logits(const Tensor& h_ND) const { return head_->logits(h_ND); }

    const ModelConfig& config() const { return config_; }
    const Stack& stack() const { return stack_; }
    // Forward, per token of the sequence, where a share `predicted` of the tokens is.
    double flops_per_token(const CostShape& shape, double predicted) const;

 private:
    ModelConfig config_;
    int64_t outer_width_;
    Parameter in_, out_, out_bias_;
    Stack stack_;
    StackNorm final_norm_;
    LayerNorm norm_;
    std::unique_ptr<Head> head_;
};

}  // namespace lithe

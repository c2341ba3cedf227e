// A language model: embedding, stack, head. Input ids [T][B], logits [T][B][V]. With model.direction = "bidirectional"
// an encoder (BERT: Devlin et al. 2019), whose targets are masked tokens.
#pragma once

#include "lithe/model/stack.h"
#include "lithe/nn/adaptive_vocabulary.h"
#include "lithe/nn/ngram_embedding.h"
#include "lithe/nn/output_head.h"

namespace lithe {

inline bool has_absolute_positions(const ModelConfig& model) {
    return model.positions == "learned" || model.positions == "sinusoidal";
}

class LanguageModel {
 public:
    // Records the parameters; nothing is allocated before materialize(). Throws one usage error with all problems.
    LanguageModel(const Config& config, int64_t vocabulary_size, const GroupWrapper& wrap = {});
    LanguageModel(const LanguageModel&) = delete;  // handles point into the store
    LanguageModel& operator=(const LanguageModel&) = delete;

    // As ParameterStore's: without a seed the weights are zero, to be loaded.
    void materialize(at::ScalarType master, at::ScalarType working, at::Device device, std::optional<uint64_t> seed);

    struct Output {
        Tensor logits_TBV;
        State state;
        Aux aux;
    };
    Output forward(const Tensor& ids_TB, const State& state, const Context& context) const;

    // Summed negative log-likelihood in nats over all targets, as a fp32 scalar, and what forward() returns.
    struct Loss {
        Tensor sum;
        State state;
        Aux aux;
    };
    Loss loss(const Tensor& ids_TB, const Tensor& targets_TB, const State& state, const Context& context) const;

    // The stack's output [T][B][d], after the last norm: all that an encoder without a head has.
    Tensor encode(const Tensor& ids_TB, const Context& context) const;
    // The pooled first position [B][d], for fine-tuning: tanh(W h_0 + b). Throws usage without model.pooler.
    Tensor pool(const Tensor& ids_TB, const Context& context) const;
    bool has_head() const { return adaptive_ || head_; }
    // Whether most targets are -1: then logits are computed for the others only.
    bool sparse_targets() const { return sparse_targets_; }

    // What searched places run from now on, in contexts that are made later.
    void choose(SlotChoices choices) { choices_ = std::move(choices); }

    // The layers of a training step after so many updates; equal keys draw equally. Null: all of them.
    LayerDraws draw_layers(int64_t updates, uint64_t key) const {
        return lithe::draw_layers(layer_drop_, int64_t(stack_.layers.size()), updates, key);
    }
    // Runs only these layers (what stands at the top of the layout) from now on, numbered from 1: pruning at load, as
    // after training with LayerDrop (Fan et al. 2020). "2,4,6", or "every:2" for each second. Throws usage.
    void keep_layers(const std::string& text);
    const LayerDropConfig& layer_drop() const { return layer_drop_; }

    // A context as the configuration says: direction, memory, layers outside training. Callers set the rest.
    Context context(bool training) const;

    ParameterStore& parameters() { return store_; }
    const ParameterStore& parameters() const { return store_; }
    int64_t vocabulary_size() const { return vocabulary_size_; }
    const ModelConfig& config() const { return config_; }
    const Stack& stack() const { return stack_; }
    // Forward, of what stands outside the stack: n-gram projection and head.
    double outer_flops_per_token() const;
    // Number of absolute positions; 0: unlimited.
    int64_t max_positions() const { return has_absolute_positions(config_) ? max_positions_ : 0; }
    at::Device device() const { return device_; }
    // Whether a training step without flags asks the same of the device whatever its tokens are, and nothing of the
    // host.
    bool steady_work() const;

 private:
    friend class StepModel;
    Tensor embed(const Tensor& ids_TB, const State& state, const Context& context, Tensor& last_ids) const;
    Tensor positions(const Tensor& ids_TB, const Context& context) const;
    Tensor hidden(const Tensor& ids_TB, const State& state, const Context& context, State& after, Aux& aux) const;

    ModelConfig config_;
    LayerDropConfig layer_drop_;
    bool sparse_targets_;
    int64_t vocabulary_size_, max_positions_;
    ParameterStore store_;
    SlotChoices choices_;
    Parameter embedding_, positions_, token_types_, pooler_, pooler_bias_;
    OutputHead head_;
    AdaptiveVocabulary adaptive_;  // instead of embedding_ and head_
    NgramEmbedding ngrams_;
    LayerNorm embedding_norm_, final_norm_;
    Stack stack_;
    at::Device device_ = at::kCPU;
};

// The layout of the decoder: [model.decoder]'s, or [model]'s own; searched places have their candidates.
LayoutNode decoder_layout(const Config& config);

// Checks a configuration's model part as the constructor does, collecting problems.
void check_model(const Config& config, Problems& problems);

}  // namespace lithe

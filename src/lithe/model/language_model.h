// A language model: a stack of tokens and a head. Input ids [T][B], logits [T][B][V]. With model.direction =
// "bidirectional" an encoder (BERT: Devlin et al. 2019). With [model.encoder] a second stack reads a source sequence,
// and the first, the decoder, reads its output (Vaswani et al. 2017).
#pragma once

#include <optional>

#include "lithe/model/exits.h"
#include "lithe/model/head.h"
#include "lithe/model/token_stack.h"

namespace lithe {

// How many targets are not -1: where few are, logits are computed for these only.
enum class TargetDensity { most, few };
struct LossOptions {
    TargetDensity density = TargetDensity::most;
    double smoothing = 0;  // of labels
};

class LanguageModel {
 public:
    // Records its parameters in `store`, under names that begin with `scope`, or in one of its own; nothing is
    // allocated before materialize(). `exits`: layers behind which they stand, but the last one (exit_layers()). Throws
    // one usage error with all problems.
    LanguageModel(const Config& config, int64_t vocabulary_size, std::shared_ptr<ParameterStore> store = nullptr,
                  const std::string& scope = "", const std::vector<size_t>& exits = {});
    LanguageModel(const LanguageModel&) = delete;  // handles point into the store
    LanguageModel& operator=(const LanguageModel&) = delete;

    // As ParameterStore's: without a seed the weights are zero, to be loaded.
    void materialize(at::ScalarType master, at::ScalarType working, at::Device device, std::optional<uint64_t> seed);

    struct Output {
        Tensor logits_TBV;
        State state;
        Aux aux;
    };
    // `source`: what encode_source() made; a state that it left behind holds it, too.
    Output forward(const Tensor& ids_TB, const State& state, const Pass& pass, const Bag& source = {}) const;

    // What follows a segment: logits [B][V] of its last position alone, and the next state. `wants_logits` false: none.
    struct Next {
        Tensor logits_BV;
        State state;
    };
    Next next(const Tensor& ids_TB, const State& state, const Pass& pass, const Bag& source = {},
              bool wants_logits = true) const;

    // Summed negative log-likelihood in nats over all targets, as a fp32 scalar, and what forward() returns.
    struct Loss {
        Tensor sum;
        State state;
        Aux aux;
    };
    Loss loss(const Tensor& ids_TB, const Tensor& targets_TB, const State& state, const Pass& pass,
              const LossOptions& options = {}, const Bag& source = {}) const;

    // The same of every exit, from the first to the last layer's.
    struct ExitLosses {
        std::vector<Tensor> sums;
        State state;
        Aux aux;
    };
    ExitLosses exit_losses(const Tensor& ids_TB, const Tensor& targets_TB, const State& state, const Pass& pass) const;
    // Null without any.
    const Exits* exits() const { return exits_ ? &*exits_ : nullptr; }
    const Exits& required_exits() const;  // throws usage without any
    // Positions of passes that are made from now on leave by a rule, but in training. Throws usage without exits.
    void set_leaving(const ExitRule& rule, std::shared_ptr<ExitCounts> counts = nullptr);

    // Runs the encoder over a source: ids [S][B] and their flags (padding), undefined for none; its blocks' own losses
    // and metrics are added to `aux`. Throws usage without [model.encoder].
    Bag encode_source(const Tensor& ids_SB, const Tensor& flags_SB, bool training, const DrawKeys& keys,
                      Aux& aux) const;
    bool has_encoder() const { return encoder_.has_value(); }

    // The stack's output [T][B][d], after the last norm: what heads read.
    TokenStack::Output hidden(const Tensor& ids_TB, const State& state, const Pass& pass, const Bag& source = {}) const;
    Tensor encode(const Tensor& ids_TB, const Pass& pass) const { return hidden(ids_TB, {}, pass).h_TBD; }
    // BERT's pooler of a position's vectors [B][d]: tanh(W h + b). Throws usage without model.bert.pooler.
    Tensor pooler(const Tensor& h_BD) const;
    bool has_pooler() const { return bool(pooler_); }
    bool has_head() const { return head_ != nullptr; }

    // Entries that every pass has which is made from now on.
    PassEntries& standing_entries() { return decoder_.standing_entries(); }

    // Runs only these layers (what stands at the top of the layout) from now on, numbered from 1: pruning at load, as
    // after training with LayerDrop (Fan et al. 2020). "2,4,6", or "every:2" for each second. Throws usage.
    void keep_layers(const std::string& text);
    const LayerDropConfig& layer_drop() const { return layer_drop_; }

    // How training passes recompute activations from now on; not `memory`, which the constructor leaves to be chosen.
    void set_recompute(const Recompute& recompute, const CostShape& shape);

    // A pass as the configuration says: direction, memory, what its layers draw by `keys`. Callers set the rest.
    Pass pass(bool training, DrawKeys keys = {}) const { return decoder_.pass(training, std::move(keys)); }

    ParameterStore& parameters() { return *store_; }
    const ParameterStore& parameters() const { return *store_; }
    int64_t vocabulary_size() const { return vocabulary_size_; }
    const ModelConfig& config() const { return config_; }
    const Stack& stack() const { return decoder_.stack(); }
    // Null without one.
    const TokenStack* encoder() const { return encoder_ ? &*encoder_ : nullptr; }
    // Forward, of what stands outside the stack: n-gram projection and head.
    double outer_flops_per_token() const;
    // Number of absolute positions; 0: unlimited.
    int64_t max_positions() const { return decoder_.embedding().max_positions(); }
    at::Device device() const { return device_; }
    // Whether a training step without flags asks the same of the device whatever its tokens are, and nothing of the
    // host.
    bool steady_work() const;

    // For single steps (infer/step_model.h).
    const TokenStack& decoder() const { return decoder_; }
    const Head* head() const { return head_.get(); }  // null without one

 private:
    void require_head() const;
    ModelConfig config_;
    LayerDropConfig layer_drop_;
    int64_t vocabulary_size_;
    std::shared_ptr<ParameterStore> store_;
    std::optional<ParameterStore::Scope> naming_;  // while parameters are added
    TokenStack decoder_;
    std::optional<Exits> exits_;
    std::optional<TokenStack> encoder_;
    Parameter pooler_, pooler_bias_;
    std::unique_ptr<Head> head_;
    at::Device device_ = at::kCPU;
};

// The layout of the decoder: [model.decoder]'s, or [model]'s own; searched places have their candidates.
LayoutNode decoder_layout(const Config& config);

// Checks a configuration's model part as the constructor does, collecting problems.
void check_model(const Config& config, Problems& problems);

}  // namespace lithe

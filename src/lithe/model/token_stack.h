// A stack with what stands before and behind its units: token ids in, the last hidden vectors out. A decoder is one, an
// encoder is another.
#pragma once

#include "lithe/model/recompute_cost.h"
#include "lithe/model/stack.h"
#include "lithe/model/token_embedding.h"

namespace lithe {

class TokenStack {
 public:
    struct Shape {
        TokenEmbedding::Shape embedding;
        std::string embedding_name;  // prefix of the embedding's parameters
        std::string name;            // of the stack's: "decoder"
        StackOptions options;
    };
    TokenStack(ParameterStore& store, const ModelConfig& model, const LayoutNode& layout,
               const std::map<std::string, ResolvedBlock>& blocks, const Shape& shape);

    struct Output {
        Tensor h_TBD;  // behind the last norm
        State state;
        Aux aux;
        Tensor x_TBD;  // before it
        Bag bag;
    };
    // ids [T][B]; `bag`: what its units find there.
    Output forward(const Tensor& ids_TB, const Bag& bag, const State& state, const Pass& pass) const;
    // What a head reads of x, behind a norm (empty: none) and the stack's last dropout.
    Tensor read_out(const Tensor& x_TBD, const StackNorm& norm, const Pass& pass) const;
    // A pass as the stack's configuration says. Callers set the rest.
    Pass pass(bool training, DrawKeys keys) const;

    // Runs only these layers from now on, numbered from 1: "2,4,6", or "every:2" for each second. Throws usage.
    void keep_layers(const std::string& text);
    // How training passes recompute from now on, `load` being what its blocks keep; not `memory`.
    void set_recompute(const Recompute& recompute, const StackLoad& load);
    PassEntries& standing_entries() { return standing_; }
    const ModelConfig& config() const { return config_; }
    const TokenEmbedding& embedding() const { return embedding_; }
    const Stack& stack() const { return stack_; }
    const StackNorm& final_norm() const { return final_norm_; }

 private:
    ModelConfig config_;
    std::string name_;
    std::vector<BagKey> given_;
    TokenEmbedding embedding_;
    Stack stack_;
    StackNorm final_norm_;
    PassEntries standing_;
};

}  // namespace lithe

#include "lithe/blocks/adaptive_span.h"
#include "lithe/blocks/all_attention.h"
#include "lithe/blocks/atr.h"
#include "lithe/blocks/attention.h"
#include "lithe/blocks/bigbird.h"
#include "lithe/blocks/blockbert.h"
#include "lithe/blocks/boom.h"
#include "lithe/blocks/cascade.h"
#include "lithe/blocks/cross_attention.h"
#include "lithe/blocks/delta_net.h"
#include "lithe/blocks/feed_forward.h"
#include "lithe/blocks/gated_delta.h"
#include "lithe/blocks/gla.h"
#include "lithe/blocks/gru.h"
#include "lithe/blocks/hgrn2.h"
#include "lithe/blocks/kda.h"
#include "lithe/blocks/linear_attention.h"
#include "lithe/blocks/linformer.h"
#include "lithe/blocks/longformer.h"
#include "lithe/blocks/lrn.h"
#include "lithe/blocks/lru.h"
#include "lithe/blocks/lsh.h"
#include "lithe/blocks/lstm.h"
#include "lithe/blocks/mamba2.h"
#include "lithe/blocks/min_rnn.h"
#include "lithe/blocks/mlstm.h"
#include "lithe/blocks/moe.h"
#include "lithe/blocks/nystrom.h"
#include "lithe/blocks/performer.h"
#include "lithe/blocks/qrnn.h"
#include "lithe/blocks/retnet.h"
#include "lithe/blocks/rg_lru.h"
#include "lithe/blocks/rwkv7.h"
#include "lithe/blocks/rwkv7_channel.h"
#include "lithe/blocks/s4d.h"
#include "lithe/blocks/sha.h"
#include "lithe/blocks/sinkhorn.h"
#include "lithe/blocks/slstm.h"
#include "lithe/blocks/sparse.h"
#include "lithe/blocks/sru.h"
#include "lithe/blocks/srupp.h"
#include "lithe/blocks/ssru.h"
#include "lithe/blocks/synthesizer.h"
#include "lithe/blocks/trans_blstm.h"

namespace lithe {
namespace {

struct NoValues {
    static NoValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor&) {}
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class IdentityBlock : public Block {
 public:
    IdentityBlock(const NoValues&, const BlockSite&) {}
    BranchOutput branch(const Tensor& x_TBD, const State&, const Call&) const override { return {x_TBD, {}, {}}; }
    StepOutput add_step(StepProgram&, const float* x, int64_t) const override { return {x, {}}; }
    double flops_per_token(const CostShape&) const override { return 0; }
    double activation_numbers_per_token(const CostShape&) const override { return 0; }
};

template <class B, class Values> std::unique_ptr<Block> make(const BlockOptions& options, const BlockSite& site) {
    return std::make_unique<B>(values_of<Values>(options), site);
}

template <class B, class Values>
BlockKind kind(const char* name, char letter, BlockTraits traits, const char* description) {
    return {name, letter, traits, description, make_options<Values>, make<B, Values>};
}

// SRU++ and its kin, a Transformer's parts, nothing.
std::vector<BlockKind> first_kinds() {
    return {
        kind<SruppBlock, SruppValues>("srupp", 'u', {.bidirectional = true, .own_residual = true},
                                      "SRU++: recurrence whose input passes through attention"),
        kind<ProjectedSruBlock, ProjectedSruValues>("projected_sru", 'r', {.bidirectional = true, .own_residual = true},
                                                    "SRU++ without attention: projected linear, norm, recurrence"),
        kind<SruBlock, SruValues>("sru", 0, {.bidirectional = true, .own_residual = true},
                                  "SRU: simple recurrent unit, also bidirectional"),
        kind<FeedForwardBlock, FeedForwardValues>("feed_forward", 'f', {.bidirectional = true, .position_wise = true},
                                                  "position-wise feed-forward"),
        kind<MoeBlock, MoeValues>("moe", 0, {.bidirectional = true, .position_wise = true, .asks_host = true},
                                  "a mixture of feed-forward experts, one or two for each token"),
        {"attention",
         's',
         {.bidirectional = true, .holds = true},
         "multi-head self-attention with memory",
         make_options<AttentionValues>,
         make_attention},
        kind<CrossAttentionBlock, CrossAttentionValues>(
            "cross_attention", 'c', {.bidirectional = true, .position_wise = true, .reads = {kSource, kSourcePadding}},
            "multi-head attention over the encoder's output"),
        kind<IdentityBlock, NoValues>("identity", '-',
                                      {.bidirectional = true, .position_wise = true, .own_residual = true}, "nothing"),
    };
}

// Attention over a part of the keys, or through fewer numbers than there are keys.
std::vector<BlockKind> efficient_attentions() {
    return {
        kind<SparseBlock, SparseValues>("sparse", 0, {.asks_host = true},
                                        "Sparse Transformer's attention: near keys, and strided or summary ones"),
        kind<CascadeBlock, CascadeValues>("cascade", 0, {}, "attention with a window that grows with depth"),
        kind<LongformerBlock, LongformerValues>("longformer", 0, {.bidirectional = true},
                                                "Longformer's attention: a window, dilation, global tokens"),
        kind<BigBirdBlock, BigBirdValues>("bigbird", 0,
                                          {.causal = false, .bidirectional = true, .streams = false, .asks_host = true},
                                          "BigBird's attention: blocks in a window, global and random ones"),
        kind<BlockBertBlock, BlockBertValues>(
            "blockbert", 0, {.causal = false, .bidirectional = true, .streams = false, .asks_host = true},
            "BlockBERT's attention: each block sees one, permuted by head"),
        kind<SinkhornBlock, SinkhornValues>("sinkhorn", 0, {.causal = false, .bidirectional = true, .streams = false},
                                            "Sinkhorn attention: each block sees itself and a mixture of all"),
        kind<LshBlock, LshValues>(
            "lsh", 0, {.causal = false, .may_leak = true, .bidirectional = true, .streams = false, .asks_host = true},
            "Reformer's attention: queries are keys, and hashes say who sees whom"),
        kind<LinformerBlock, LinformerValues>("linformer", 0,
                                              {.causal = false, .bidirectional = true, .streams = false},
                                              "Linformer's attention: keys and values projected along time"),
        kind<NystromBlock, NystromValues>("nystrom", 0, {.causal = false, .bidirectional = true, .streams = false},
                                          "Nystromformer's attention: through landmarks, with a convolution"),
        kind<PerformerBlock, PerformerValues>("performer", 0, {.bidirectional = true, .asks_host = true},
                                              "Performer's attention: softmax's kernel by random features"),
        kind<SynthesizerBlock, SynthesizerValues>("synthesizer", 0,
                                                  {.causal = false, .bidirectional = true, .streams = false},
                                                  "Synthesizer: weights that are no products of queries and keys"),
        kind<AdaptiveSpanBlock, AdaptiveSpanValues>("adaptive_span", 0, {.asks_host = true},
                                                    "attention whose heads learn how far back they look"),
        kind<AllAttentionBlock, AllAttentionValues>(
            "all_attention", 0, {.asks_host = true},
            "attention with learned spans, and learned keys in place of a feed-forward"),
    };
}

// Recurrences with a matrix for a state.
std::vector<BlockKind> matrix_states() {
    return {
        kind<LinearAttentionBlock, LinearAttentionValues>("linear_attention", 0, {.bidirectional = true},
                                                          "linear attention: a matrix for a state"),
        kind<RetnetBlock, RetnetValues>("retnet", 0, {}, "RetNet: a matrix for a state, with a decay for each head"),
        kind<GlaBlock, GlaValues>("gla", 0, {},
                                  "gated linear attention: a matrix for a state, with a decay for each channel"),
        kind<Hgrn2Block, Hgrn2Values>("hgrn2", 0, {},
                                      "HGRN2: a matrix for a state, what channels lose is what they take in"),
        kind<DeltaNetBlock, DeltaNetValues>("delta_net", 0, {},
                                            "DeltaNet: a matrix for a state, into which only what it lacks is written"),
        kind<GatedDeltaBlock, GatedDeltaValues>("gated_delta", 0, {},
                                                "gated DeltaNet: the delta rule with a decay for each head"),
        kind<KdaBlock, KdaValues>("kda", 0, {}, "Kimi delta attention: the delta rule with a decay for each channel"),
        kind<Rwkv7Block, Rwkv7Values>("rwkv7", 0, {.writes = {kFirstValues}},
                                      "RWKV-7's time mix: a state that decays by channel and is corrected"),
        kind<Rwkv7ChannelBlock, Rwkv7ChannelValues>("rwkv7_channel", 0, {},
                                                    "RWKV-7's channel mix: a feed-forward that sees the token before"),
        kind<Mamba2Block, Mamba2Values>(
            "mamba2", 0, {}, "Mamba-2: a short convolution and a matrix for a state, with a decay for each head"),
        kind<MlstmBlock, MlstmValues>("mlstm", 0, {},
                                      "xLSTM's mLSTM: a matrix for a state, with exponential gates and a normaliser"),
    };
}

// Recurrences with a vector for a state, and what stands beside them in their sources.
std::vector<BlockKind> vector_states() {
    return {
        kind<LstmBlock, LstmValues>("lstm", 'l', {.own_residual = true}, "LSTM, a baseline"),
        kind<GruBlock, HiddenValues>("gru", 0, {.own_residual = true}, "GRU, a baseline"),
        kind<SlstmBlock, SlstmValues>("slstm", 0, {},
                                      "xLSTM's sLSTM: exponential gates, and a matrix in the loop for each head"),
        kind<QrnnBlock, QrnnValues>("qrnn", 0, {.own_residual = true},
                                    "QRNN: gates from a window of the input, then element-wise pooling"),
        kind<LrnBlock, LrnValues>("lrn", 0, {.own_residual = true},
                                  "LRN: a recurrence whose two gates add and take off the state"),
        kind<AtrBlock, HiddenValues>("atr", 0, {.own_residual = true},
                                     "ATR: LRN's forerunner, with a matrix in the loop"),
        kind<SsruBlock, SsruValues>("ssru", 0, {}, "SSRU: one gate, ReLU of the state; in place of self-attention"),
        kind<MinGruBlock, MinRnnValues>("min_gru", 0, {}, "minGRU: a GRU whose gates see the input alone"),
        kind<MinLstmBlock, MinRnnValues>("min_lstm", 0, {}, "minLSTM: an LSTM whose gates see the input alone"),
        kind<RgLruBlock, RgLruValues>("rg_lru", 0, {},
                                      "Griffin's recurrent block: gated branch, short convolution, RG-LRU"),
        kind<LruBlock, LruValues>("lru", 0, {},
                                  "LRU's block: complex states that decay at rates in a ring, then a GLU"),
        kind<S4dBlock, S4dValues>("s4d", 0, {}, "S4D: a diagonal state space for each channel, then a GLU"),
        kind<ShaBlock, ShaValues>("sha", 0, {.own_residual = true},
                                  "SHA-RNN's block: LSTM, one head with gated vectors, boom"),
        kind<BoomBlock, BoomValues>("boom", 'b', {.bidirectional = true, .position_wise = true, .own_residual = true},
                                    "SHA-RNN's boom: a feed-forward without a second matrix"),
        kind<TransBlstmBlock, TransBlstmValues>(
            "trans_blstm", 0, {.causal = false, .bidirectional = true, .streams = false, .own_residual = true},
            "TRANS-BLSTM's layer: BERT's with an LSTM in two directions"),
    };
}

}  // namespace

std::span<const BlockKind> block_kinds() {
    static const std::vector<BlockKind> table = [] {
        std::vector<BlockKind> all;
        for (const auto& family : {first_kinds(), efficient_attentions(), matrix_states(), vector_states()})
            all.insert(all.end(), family.begin(), family.end());
        return all;
    }();
    return table;
}

const BlockKind* find_block_kind(std::string_view name) {
    for (const BlockKind& kind : block_kinds())
        if (name == kind.name || (name.size() == 1 && name[0] == kind.letter)) return &kind;
    return nullptr;
}

void Aux::append(Aux other) {
    for (auto& loss : other.losses) losses.push_back(std::move(loss));
    for (auto& metric : other.metrics) metrics.push_back(std::move(metric));
}

}  // namespace lithe

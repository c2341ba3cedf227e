// The network: [model] and [model.encoder].
#pragma once

#include <cstdint>
#include <string>

#include "lithe/base/fields.h"

namespace lithe {

// What training keeps of earlier positions.
enum class MemoryForm { inputs, projections };
constexpr auto names_of(MemoryForm) {
    using enum MemoryForm;
    return std::to_array<Named<MemoryForm>>({{inputs, "inputs"}, {projections, "projections"}});
}

// Where the layer norm of a block without a skip of its own stands.
enum class NormPlace { pre, post, none };
constexpr auto names_of(NormPlace) {
    using enum NormPlace;
    return std::to_array<Named<NormPlace>>({{pre, "pre"}, {post, "post"}, {none, "none"}});
}

enum class NormForm { layer, rms };
constexpr auto names_of(NormForm) {
    using enum NormForm;
    return std::to_array<Named<NormForm>>({{layer, "layer"}, {rms, "rms"}});
}

enum class Positions { none, learned, sinusoidal, relative, rotary, coordinates };
constexpr auto names_of(Positions) {
    using enum Positions;
    return std::to_array<Named<Positions>>({{none, "none"},
                                            {learned, "learned"},
                                            {sinusoidal, "sinusoidal"},
                                            {relative, "relative"},
                                            {rotary, "rotary"},
                                            {coordinates, "coordinates"}});
}

enum class EmbeddingInit { uniform, normal };
constexpr auto names_of(EmbeddingInit) {
    using enum EmbeddingInit;
    return std::to_array<Named<EmbeddingInit>>({{uniform, "uniform"}, {normal, "normal"}});
}

enum class EmbeddingScale { one, sqrt_width };
constexpr auto names_of(EmbeddingScale) {
    using enum EmbeddingScale;
    return std::to_array<Named<EmbeddingScale>>({{one, "one"}, {sqrt_width, "sqrt_width"}});
}

enum class Direction { causal, bidirectional };
constexpr auto names_of(Direction) {
    using enum Direction;
    return std::to_array<Named<Direction>>({{causal, "causal"}, {bidirectional, "bidirectional"}});
}

// What turns a stack's output into logits.
enum class HeadForm { linear, transform, adaptive, none };
constexpr auto names_of(HeadForm) {
    using enum HeadForm;
    return std::to_array<Named<HeadForm>>(
        {{linear, "linear"}, {transform, "transform"}, {adaptive, "adaptive"}, {none, "none"}});
}

// Projections that adaptive embeddings and softmax share.
enum class TiedProjections { tails, none };
constexpr auto names_of(TiedProjections) {
    using enum TiedProjections;
    return std::to_array<Named<TiedProjections>>({{tails, "tails"}, {none, "none"}});
}

// Which tail has the last column of an adaptive softmax's head.
enum class ClusterOrder { original, forward };
constexpr auto names_of(ClusterOrder) {
    using enum ClusterOrder;
    return std::to_array<Named<ClusterOrder>>({{original, "original"}, {forward, "forward"}});
}

// Looked up besides the token, by hash.
struct NgramConfig {
    std::string lengths;  // spec/ngram_lengths.h
    int64_t rows = 65536;
    int64_t width = 64;
    void visit(FieldVisitor& v);
};

// Adaptive embeddings and softmax.
struct AdaptiveConfig {
    std::string cutoffs;
    int64_t divisor = 1;
    TiedProjections tie_projections = TiedProjections::tails;
    ClusterOrder cluster_order = ClusterOrder::original;
    void visit(FieldVisitor& v);
};

// What BERT has around its stack.
struct BertConfig {
    bool embedding_norm = false;
    int64_t token_types = 0;
    bool pooler = false;
    void visit(FieldVisitor& v);
};

struct ModelConfig {
    int64_t width = 512;
    std::string layout = "u x6";
    int64_t vocabulary_size = 0;  // 0: the tokenizer's
    double dropout = 0.0;
    double attention_dropout = 0.0;
    int64_t memory = 0;
    MemoryForm memory_form = MemoryForm::inputs;
    int64_t heads = 1;
    NormPlace norm = NormPlace::pre;
    NormForm norm_form = NormForm::layer;
    bool final_norm = false;
    double norm_epsilon = 1e-5;
    bool tie_embeddings = false;
    Positions positions = Positions::none;
    int64_t max_positions = 0;
    EmbeddingInit embedding_init = EmbeddingInit::uniform;
    EmbeddingScale embedding_scale = EmbeddingScale::one;
    int64_t embedding_width = 0;  // 0: width
    Direction direction = Direction::causal;
    HeadForm head = HeadForm::linear;
    bool head_bias = true;
    NgramConfig ngrams;
    AdaptiveConfig adaptive;
    int64_t adapter_width = 0;
    BertConfig bert;
    void visit(FieldVisitor& v);
    int64_t token_width() const { return embedding_width > 0 ? embedding_width : width; }
};

}  // namespace lithe

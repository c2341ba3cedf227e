// What a stack reads of token ids: their vectors, positions, hashed n-grams, token types, norm and dropout.
#pragma once

#include "lithe/blocks/block.h"
#include "lithe/nn/adaptive_vocabulary.h"
#include "lithe/nn/ngram_embedding.h"
#include "lithe/nn/norm.h"

namespace lithe {

inline bool has_absolute_positions(const ModelConfig& model) {
    return model.positions == Positions::learned || model.positions == Positions::sinusoidal;
}
Init embedding_init(const ModelConfig& model);

class TokenEmbedding {
 public:
    struct Shape {
        int64_t vocabulary = 0, max_positions = 0;
        Parameter tokens = {};  // of another stack, to be shared; empty: its own
    };
    TokenEmbedding() = default;
    // Parameters are added under `name`.
    TokenEmbedding(ParameterStore& store, const std::string& name, const ModelConfig& model, const Shape& shape);

    // x_TBD of ids [T][B]. What the next segment needs of these ids is put into `after`.
    Tensor operator()(const Tensor& ids_TB, const State& state, const Pass& pass, State& after) const;

    // 0: unlimited.
    int64_t max_positions() const { return has_absolute_positions(config_) ? max_positions_ : 0; }
    double flops_per_token() const;
    // Whether its work depends on ids, on the host.
    bool depends_on_ids() const { return ngrams_ || adaptive_; }

    const Parameter& tokens() const { return tokens_; }
    const AdaptiveVocabulary& adaptive() const { return adaptive_; }  // instead of tokens
    const NgramEmbedding& ngrams() const { return ngrams_; }
    const Parameter& positions() const { return positions_; }
    // Whether it is a sum of looked-up rows and nothing else, as single steps have it.
    bool is_plain_sum() const {
        return !adaptive_ && !norm_ && !token_types_ && config_.positions != Positions::coordinates;
    }
    // From tokens' vectors to the model's width; empty where both are one.
    const Parameter& projection() const { return projection_; }
    const Parameter& projection_bias() const { return projection_bias_; }
    const ModelConfig& config() const { return config_; }

 private:
    Tensor places(const Tensor& ids_TB, const Pass& pass) const;
    Tensor types(const Pass& pass) const;
    ModelConfig config_;
    int64_t max_positions_ = 0;
    Parameter tokens_, positions_, token_types_, projection_, projection_bias_;
    AdaptiveVocabulary adaptive_;
    NgramEmbedding ngrams_;
    LayerNorm norm_;
};

}  // namespace lithe

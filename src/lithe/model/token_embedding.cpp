#include "lithe/model/token_embedding.h"

#include <cmath>

#include "lithe/base/position_flags.h"
#include "lithe/nn/sinusoids.h"
#include "lithe/ops/dropout.h"
#include "lithe/spec/ngram_lengths.h"

namespace lithe {

Init embedding_init(const ModelConfig& model) {
    return model.embedding_init == EmbeddingInit::normal ? Init::normal(0.02)
                                                         : Init::uniform(std::sqrt(3.0 / double(model.token_width())));
}

TokenEmbedding::TokenEmbedding(ParameterStore& store, const std::string& name, const ModelConfig& model,
                               const Shape& shape)
    : config_(model),
      max_positions_(shape.max_positions),
      tokens_(shape.tokens) {
    const int64_t d = model.token_width();
    const auto cutoffs = parse_cutoffs(model.adaptive.cutoffs, shape.vocabulary);
    if (!cutoffs.empty())
        adaptive_ = AdaptiveVocabulary(store,
                                       {.cutoffs = cutoffs,
                                        .divisor = model.adaptive.divisor,
                                        .tie_tails = model.adaptive.tie_projections == TiedProjections::tails,
                                        .last_column_first = model.adaptive.cluster_order == ClusterOrder::original},
                                       shape.vocabulary, d);
    else if (!tokens_)
        tokens_ = store.add({name + ".tokens", {shape.vocabulary, d}, Role::embedding, embedding_init(model)});
    if (model.positions == Positions::learned)
        positions_ = store.add({name + ".positions", {max_positions_, d}, Role::embedding, Init::normal(0.02)});
    if (model.bert.token_types > 0)
        token_types_ =
            store.add({name + ".token_types", {model.bert.token_types, d}, Role::embedding, Init::normal(0.02)});
    if (model.bert.embedding_norm) norm_ = LayerNorm(store, name + ".norm", d, model.norm_epsilon);
    if (const auto lengths = parse_ngram_lengths(model.ngrams.lengths); !lengths.empty())
        ngrams_ =
            NgramEmbedding(store, {.lengths = lengths, .rows = model.ngrams.rows, .width = model.ngrams.width}, d);
    if (d == model.width) return;
    projection_ = store.add({name + ".projection", {model.width, d}, Role::matrix, Init::xavier(d, model.width)});
    projection_bias_ = store.add({name + ".projection_bias", {model.width}, Role::bias, Init::constant(0)});
}

double TokenEmbedding::flops_per_token() const {
    const double product = projection_ ? 2 * double(config_.width) * double(config_.token_width()) : 0;
    return product + (ngrams_ ? ngrams_.flops_per_token() : 0);
}

Tensor TokenEmbedding::places(const Tensor& ids_TB, const Pass& pass) const {
    const int64_t steps = ids_TB.size(0);
    const Tensor places_TB = positions_of(pass, steps, ids_TB.size(1), ids_TB.device());
    const bool from_zero = !pass.position_B.defined() && !pass.marks;
    const int64_t highest = from_zero ? steps - 1 : places_TB.numel() ? places_TB.max().item<int64_t>() : 0;
    if (highest >= max_positions_)
        fail_usage("position " + std::to_string(highest) + " is beyond the model's " + std::to_string(max_positions_) +
                       " absolute positions",
                   "model.max_positions");
    return places_TB;
}

// The second type where flags say so and the model has one, else the first.
Tensor TokenEmbedding::types(const Pass& pass) const {
    if (!pass.marks || config_.bert.token_types < 2) return token_types_.tensor().select(0, 0);
    const Tensor second_TB = pass.flags_TB().bitwise_and(int64_t(kSecondText)).ne(0).to(at::kLong);
    return at::embedding(token_types_.tensor(), second_TB);
}

Tensor TokenEmbedding::operator()(const Tensor& ids_TB, const State& state, const Pass& pass, State& after) const {
    Tensor x_TBD = adaptive_ ? adaptive_.embed(ids_TB) : at::embedding(tokens_.tensor(), ids_TB);
    if (config_.embedding_scale == EmbeddingScale::sqrt_width) x_TBD = x_TBD * std::sqrt(double(config_.token_width()));
    if (ngrams_) {
        Tensor last_ids;
        x_TBD = x_TBD + ngrams_(ids_TB, pass.flags_TB(), state.get("ngrams"), last_ids);
        after.put("ngrams", last_ids, 1, 0);
    }
    if (config_.positions == Positions::learned)
        x_TBD = x_TBD + at::embedding(positions_.tensor(), places(ids_TB, pass));
    if (config_.positions == Positions::sinusoidal)
        x_TBD = x_TBD + position_sinusoids(places(ids_TB, pass), config_.token_width(), x_TBD.scalar_type());
    if (token_types_) x_TBD = x_TBD + types(pass);
    if (norm_) x_TBD = norm_(x_TBD);
    if (pass.training) x_TBD = ops::dropout(x_TBD, config_.dropout, shared_site(pass, "embedding"), 1);
    if (projection_) x_TBD = at::linear(x_TBD, projection_.tensor(), projection_bias_.tensor().to(x_TBD.scalar_type()));
    return x_TBD;
}

}  // namespace lithe

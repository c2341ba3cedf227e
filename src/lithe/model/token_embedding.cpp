#include "lithe/model/token_embedding.h"

#include <cmath>

#include "lithe/base/position_flags.h"
#include "lithe/ops/dropout.h"
#include "lithe/spec/ngram_lengths.h"

namespace lithe {

Init embedding_init(const ModelConfig& model) {
    return model.embedding_init == EmbeddingInit::normal ? Init::normal(0.02)
                                                         : Init::uniform(std::sqrt(3.0 / double(model.width)));
}

TokenEmbedding::TokenEmbedding(ParameterStore& store, const std::string& name, const ModelConfig& model,
                               const Shape& shape)
    : config_(model),
      max_positions_(shape.max_positions),
      tokens_(shape.tokens) {
    const int64_t d = model.width;
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
}

// Position of every token in its document: counted on from position_B, anew where a document begins.
Tensor TokenEmbedding::places(const Tensor& ids_TB, const Pass& pass) const {
    const int64_t steps = ids_TB.size(0), batch = ids_TB.size(1);
    const auto options = at::TensorOptions(at::kLong).device(ids_TB.device());
    const Tensor start_B = pass.position_B.defined() ? pass.position_B : at::zeros({batch}, options);
    const Tensor steps_T1 = at::arange(steps, options).unsqueeze(1);
    Tensor places_TB = steps_T1 + start_B.unsqueeze(0);
    if (pass.marks) {
        const Tensor begin_TB = pass.marks->begin_BT.transpose(0, 1).to(at::kLong);
        places_TB = at::where(begin_TB.lt(0), places_TB, steps_T1 - begin_TB);
    }
    const bool from_zero = !pass.position_B.defined() && !pass.marks;
    const int64_t highest = from_zero ? steps - 1 : places_TB.numel() ? places_TB.max().item<int64_t>() : 0;
    if (highest >= max_positions_)
        fail_usage("position " + std::to_string(highest) + " is beyond the model's " + std::to_string(max_positions_) +
                       " absolute positions",
                   "model.max_positions");
    return places_TB;
}

// Vaswani et al. 2017, section 3.5.
static Tensor sinusoids(const Tensor& places_TB, int64_t width, at::ScalarType type) {
    const int64_t half = width / 2;
    const auto options = at::TensorOptions(at::kDouble).device(places_TB.device());
    const Tensor rate = at::pow(10000.0, at::arange(half, options) / -double(half));
    const Tensor angle = places_TB.to(at::kDouble).unsqueeze(2) * rate;
    return at::cat({angle.sin(), angle.cos()}, 2).to(type);
}

// The second type where flags say so and the model has one, else the first.
Tensor TokenEmbedding::types(const Pass& pass) const {
    if (!pass.marks || config_.bert.token_types < 2) return token_types_.tensor().select(0, 0);
    const Tensor second_TB = pass.flags_TB().bitwise_and(int64_t(kSecondText)).ne(0).to(at::kLong);
    return at::embedding(token_types_.tensor(), second_TB);
}

Tensor TokenEmbedding::operator()(const Tensor& ids_TB, const State& state, const Pass& pass, State& after) const {
    Tensor x_TBD = adaptive_ ? adaptive_.embed(ids_TB) : at::embedding(tokens_.tensor(), ids_TB);
    if (config_.embedding_scale == EmbeddingScale::sqrt_width) x_TBD = x_TBD * std::sqrt(double(config_.width));
    if (ngrams_) {
        Tensor last_ids;
        x_TBD = x_TBD + ngrams_(ids_TB, pass.flags_TB(), state.get("ngrams"), last_ids);
        after.put("ngrams", last_ids, 1, 0);
    }
    if (config_.positions == Positions::learned)
        x_TBD = x_TBD + at::embedding(positions_.tensor(), places(ids_TB, pass));
    if (config_.positions == Positions::sinusoidal)
        x_TBD = x_TBD + sinusoids(places(ids_TB, pass), config_.width, x_TBD.scalar_type());
    if (token_types_) x_TBD = x_TBD + types(pass);
    if (norm_) x_TBD = norm_(x_TBD);
    if (pass.training) x_TBD = ops::dropout(x_TBD, config_.dropout, shared_site(pass, "embedding"), 1);
    return x_TBD;
}

}  // namespace lithe

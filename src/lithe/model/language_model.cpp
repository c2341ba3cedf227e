#include "lithe/model/language_model.h"

#include <cmath>

#include "lithe/kernels/sru/sru.h"
#include "lithe/ops/dropout.h"
#include "lithe/spec/slots.h"

namespace lithe {
namespace {

Init embedding_init(const ModelConfig& model) {
    return model.embedding_init == "normal" ? Init::normal(0.02) : Init::uniform(std::sqrt(3.0 / double(model.width)));
}

}  // namespace

LayoutNode decoder_layout(const Config& config) {
    auto decoder = config.stacks.find("decoder");
    LayoutNode layout = parse_layout(decoder != config.stacks.end() ? decoder->second.layout : config.model.layout);
    return has_slots(layout) ? with_candidates(std::move(layout), config.search.candidates) : layout;
}

static void check_layer_drop(const Config& config, const LayoutNode& layout, Problems& problems) {
    if (config.layer_drop.method == "none") return;
    Problems told_elsewhere;
    const auto resolved = resolve_blocks(layout, config.model, config.blocks, told_elsewhere);
    for (const auto& [name, column] : block_names(layout))  // not what is defined and unused
        if (auto found = resolved.find(name); found != resolved.end() && found->second.kind->traits.own_residual &&
                                              std::string(found->second.kind->name) != "identity")
            problems.add("the block '" + name + "' has a skip of its own: a layer without it is no identity",
                         "layer_drop.method", "layers of s and f can be dropped");
    if (config.model.norm == "post")
        problems.add("dropped layers need the norm before the block: model.norm = \"pre\"", "layer_drop.method");
    if (config.model.memory_form == "projections" && config.model.memory > 0)
        problems.add("a dropped layer makes no keys and values to remember: model.memory_form = \"inputs\"",
                     "layer_drop.method");
}

static void check_objective(const Config& config, Problems& problems) {
    const ModelConfig& model = config.model;
    const bool masked = config.objective.name == "masked", both_ways = model.direction == "bidirectional";
    if (both_ways && !masked && model.head != "none")
        problems.add("a bidirectional model sees the next token and cannot predict it", "model.direction",
                     "objective.name = \"masked\", or model.head = \"none\"");
    if (masked && !both_ways)
        problems.add("masked tokens are predicted from both sides: model.direction = \"bidirectional\"",
                     "objective.name");
    if (both_ways && model.memory > 0)
        problems.add("a bidirectional model sees its segment only: model.memory = 0", "model.memory");
    if (config.objective.mask_share + config.objective.random_share > 1)
        problems.add("mask_share and random_share are more than all", "objective.mask_share");
    if (model.head != "linear" && !model.cutoffs.empty())
        problems.add("an adaptive softmax has its own head: model.head = \"linear\"", "model.head");
    if (model.pooler && !both_ways) problems.add("the pooler reads an encoder's first position", "model.pooler");
}

void check_model(const Config& config, Problems& problems) {
    if (config.stacks.count("encoder"))
        problems.add("[model.encoder]: a language model has one stack, the decoder", "model");
    LayoutNode layout = decoder_layout(config);
    resolve_blocks(layout, config.model, config.blocks, problems);
    if (has_slots(layout) && !config.search.supernet)
        problems.add("the layout has searched places ('?')", "model.layout",
                     "write the blocks that should stand there, or let lithe search find them");
    if (!has_slots(layout) && config.search.supernet)
        problems.add("search.supernet is set and the layout has no searched place ('?')", "model.layout");
    check_objective(config, problems);
    check_layer_drop(config, layout, problems);
    if (!config.model.cutoffs.empty() && !config.model.tie_embeddings)
        problems.add("adaptive embeddings serve both ends: model.tie_embeddings = true", "model.cutoffs");
    if (config.model.ngrams == 1)
        problems.add("model.ngrams = 1 is the token itself, which is looked up anyway", "model.ngrams",
                     "0 for none, or the longest n-gram, from 2 on");
    if (config.model.positions != "none" && config.model.width % 2)
        problems.add("model.positions needs an even width", "model.positions");
}

LanguageModel::LanguageModel(const Config& config, int64_t vocabulary_size, const GroupWrapper& wrap)
    : config_(config.model),
      layer_drop_(config.layer_drop),
      sparse_targets_(config.objective.name == "masked"),
      vocabulary_size_(vocabulary_size),
      max_positions_(config.model.max_positions > 0 ? config.model.max_positions : config.train.length) {
    Problems problems;
    check_model(config, problems);
    if (vocabulary_size < 1) problems.add("the vocabulary is empty: set model.vocabulary_size or name the data");
    problems.throw_if_any("model");
    const int64_t d = config_.width;
    if (const auto cutoffs = parse_cutoffs(config_.cutoffs, vocabulary_size); !cutoffs.empty())
        adaptive_ = AdaptiveVocabulary(store_,
                                       {.cutoffs = cutoffs,
                                        .divisor = config_.cutoff_divisor,
                                        .tie_projections = config_.tie_projections,
                                        .cluster_order = config_.cluster_order},
                                       vocabulary_size, d);
    else embedding_ = store_.add({"embeddings.tokens", {vocabulary_size, d}, Role::embedding, embedding_init(config_)});
    if (config_.positions == "learned")
        positions_ = store_.add({"embeddings.positions", {max_positions_, d}, Role::embedding, Init::normal(0.02)});
    if (config_.token_types > 0)
        token_types_ =
            store_.add({"embeddings.token_types", {config_.token_types, d}, Role::embedding, Init::normal(0.02)});
    if (config_.embedding_norm) embedding_norm_ = LayerNorm(store_, "embeddings.norm", d, config_.norm_epsilon);
    if (config_.ngrams >= 2)
        ngrams_ = NgramEmbedding(store_,
                                 {.lengths = parse_ngram_lengths(config_.ngram_lengths, config_.ngrams),
                                  .rows = config_.ngram_rows,
                                  .width = config_.ngram_width},
                                 d);
    LayoutNode layout = decoder_layout(config);
    stack_ =
        build_stack(layout, resolve_blocks(layout, config_, config.blocks, problems), config_, store_, "decoder", wrap,
                    {.droppable = layer_drop_.method != "none", .tie_candidates = config.search.tie_candidates});
    if (!stack_.slots.empty()) choices_ = choose_slots(std::vector<int64_t>(stack_.slots.size(), 0));
    const LayerDraws outside_training = inference_layers(layer_drop_, int64_t(stack_.layers.size()));
    for (size_t i = 0; outside_training && i < stack_.layers.size(); ++i)
        stack_.layers[i]->set_step_scale((*outside_training)[i].scale);
    if (config_.final_norm) final_norm_ = LayerNorm(store_, "decoder.norm", d, config_.norm_epsilon);
    if (config_.pooler) {
        pooler_ = store_.add({"pooler.weight", {d, d}, Role::matrix, Init::xavier(d, d)});
        pooler_bias_ = store_.add({"pooler.bias", {d}, Role::vector, Init::constant(0)});
    }
    if (adaptive_ || config_.head == "none") return;
    head_ = OutputHead(store_, {.vocabulary = vocabulary_size,
                                .width = d,
                                .transform = config_.head == "masked",
                                .norm_epsilon = config_.norm_epsilon,
                                .tied = config_.tie_embeddings ? embedding_ : Parameter(),
                                .init = embedding_init(config_)});
}

void LanguageModel::keep_layers(const std::string& text) { stack_.root->keep(parse_layers(text, stack_.root->size())); }

void LanguageModel::materialize(at::ScalarType master, at::ScalarType working, at::Device device,
                                std::optional<uint64_t> seed) {
    device_ = device;
    store_.materialize(master, working, device, seed);
}

bool LanguageModel::steady_work() const {
    return !ngrams_ && !adaptive_ && !sparse_targets_ && layer_drop_.method == "none" && !choices_;
}

double LanguageModel::outer_flops_per_token() const {
    const double head = adaptive_ ? adaptive_.flops_per_token() : head_ ? head_.flops_per_token() : 0;
    return head + (ngrams_ ? ngrams_.flops_per_token() : 0);
}

Context LanguageModel::context(bool training) const {
    Context context;
    context.training = training;
    context.causal = config_.direction == "causal";
    context.memory = config_.memory;
    context.keep_projections = config_.memory_form == "projections";
    context.slots = choices_;
    if (!training) context.layers = inference_layers(layer_drop_, int64_t(stack_.layers.size()));
    return context;
}

// Position of every token in its document: counted on from position_B, anew at a reset.
Tensor LanguageModel::positions(const Tensor& ids_TB, const Context& context) const {
    const int64_t steps = ids_TB.size(0), batch = ids_TB.size(1);
    Tensor start = context.position_B.defined()
                       ? context.position_B
                       : at::zeros({batch}, at::TensorOptions(at::kLong).device(ids_TB.device()));
    Tensor places = at::arange(steps, start.options()).unsqueeze(1) + start.unsqueeze(0);
    if (context.flags_TB.defined()) {
        Tensor reset = context.flags_TB.bitwise_and(int64_t(kernels::kSruReset)).ne(0);
        Tensor last = std::get<0>(at::where(reset, places, at::zeros_like(places)).cummax(0));
        places = at::where(reset.cumsum(0).gt(0), places - last, places);
    }
    const bool from_zero = !context.position_B.defined() && !context.flags_TB.defined();
    const int64_t highest = from_zero ? steps - 1 : places.numel() ? places.max().item<int64_t>() : 0;
    if (highest >= max_positions_)
        fail_usage("position " + std::to_string(highest) + " is beyond the model's " + std::to_string(max_positions_) +
                       " absolute positions",
                   "model.max_positions");
    return places;
}

Tensor LanguageModel::embed(const Tensor& ids_TB, const State& state, const Context& context, Tensor& last_ids) const {
    Tensor x_TBD = adaptive_ ? adaptive_.embed(ids_TB) : at::embedding(embedding_.tensor(), ids_TB);
    if (config_.embedding_scale == "sqrt_width") x_TBD = x_TBD * std::sqrt(double(config_.width));
    if (ngrams_) x_TBD = x_TBD + ngrams_(ids_TB, context.flags_TB, state.get("ngrams"), last_ids);
    if (config_.positions == "learned") x_TBD = x_TBD + at::embedding(positions_.tensor(), positions(ids_TB, context));
    if (config_.positions == "sinusoidal") {  // Vaswani et al. 2017, section 3.5
        const int64_t half = config_.width / 2;
        auto options = at::TensorOptions(at::kDouble).device(ids_TB.device());
        Tensor rate = at::pow(10000.0, at::arange(half, options) / -double(half));
        Tensor angle = positions(ids_TB, context).to(at::kDouble).unsqueeze(2) * rate;
        x_TBD = x_TBD + at::cat({angle.sin(), angle.cos()}, 2).to(x_TBD.scalar_type());
    }
    if (token_types_) x_TBD = x_TBD + token_types_.tensor().select(0, 0);
    if (embedding_norm_) x_TBD = embedding_norm_(x_TBD);
    if (context.training) x_TBD = ops::dropout(x_TBD, config_.dropout, context.shared_site("embedding"), 1);
    return x_TBD;
}

Tensor LanguageModel::hidden(const Tensor& ids_TB, const State& state, const Context& context, State& after,
                             Aux& aux) const {
    Tensor last_ids;
    UnitOutput out = stack_.root->forward(embed(ids_TB, state, context, last_ids), state, context);
    after = std::move(out.state);
    if (last_ids.defined()) after.put("ngrams", last_ids, 1, 0);
    aux = std::move(out.aux);
    Tensor h_TBD = config_.final_norm ? final_norm_(out.y_TBD) : out.y_TBD;
    if (context.training) h_TBD = ops::dropout(h_TBD, config_.dropout, context.shared_site("head"), 1);
    return h_TBD;
}

LanguageModel::Output LanguageModel::forward(const Tensor& ids_TB, const State& state, const Context& context) const {
    if (!has_head()) fail_usage("an encoder without a head predicts nothing", "model.head");
    Output out;
    Tensor h_TBD = hidden(ids_TB, state, context, out.state, out.aux);
    if (adaptive_) {
        out.logits_TBV =
            adaptive_.log_probabilities(h_TBD.flatten(0, 1)).view({ids_TB.size(0), ids_TB.size(1), vocabulary_size_});
        return out;
    }
    out.logits_TBV = head_.logits(h_TBD);
    return out;
}

Tensor LanguageModel::encode(const Tensor& ids_TB, const Context& context) const {
    State after;
    Aux aux;
    return hidden(ids_TB, {}, context, after, aux);
}

Tensor LanguageModel::pool(const Tensor& ids_TB, const Context& context) const {
    if (!pooler_) fail_usage("the model has no pooler", "model.pooler");
    const Tensor first_BD = encode(ids_TB, context).select(0, 0);
    return at::linear(first_BD, pooler_.tensor(), pooler_bias_.tensor().to(first_BD.scalar_type())).tanh();
}

LanguageModel::Loss LanguageModel::loss(const Tensor& ids_TB, const Tensor& targets_TB, const State& state,
                                        const Context& context) const {
    if (!has_head()) fail_usage("an encoder without a head predicts nothing", "model.head");
    Loss out;
    Tensor h_ND = hidden(ids_TB, state, context, out.state, out.aux).flatten(0, 1), targets_N = targets_TB.flatten();
    if (sparse_targets_) {
        const Tensor scored = targets_N.ge(0).nonzero().squeeze(1);
        if (scored.numel() == 0) {  // a small batch may hold no masked token
            out.sum = h_ND.to(ops::compute_type(h_ND.scalar_type())).sum() * 0;
            return out;
        }
        h_ND = h_ND.index_select(0, scored), targets_N = targets_N.index_select(0, scored);
    }
    out.sum = adaptive_ ? adaptive_.loss(h_ND, targets_N) : head_.loss(h_ND, targets_N);
    return out;
}

}  // namespace lithe

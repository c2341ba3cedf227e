#include "lithe/model/language_model.h"

#include "lithe/model/cost.h"

#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/spec/slots.h"

namespace lithe {
LayoutNode decoder_layout(const Config& config) {
    LayoutNode layout = parse_layout(config.model.layout);
    return has_slots(layout) ? with_candidates(std::move(layout), config.search.candidates) : layout;
}

// Of the kinds whose residual is their shell's.
static std::string droppable_letters() {
    std::vector<std::string> letters;
    for (const BlockKind& kind : block_kinds())
        if (kind.letter != 0 && !kind.traits.own_residual) letters.emplace_back(1, kind.letter);
    return join(letters, ", ");
}

static void check_layer_drop(const Config& config, const LayoutNode& layout, Problems& problems) {
    if (config.layer_drop.method == LayerDropMethod::none) return;
    Problems told_elsewhere;
    const auto resolved = resolve_blocks(layout, config.model, config.blocks, told_elsewhere);
    for (const auto& [name, column] : block_names(layout))  // not what is defined and unused
        if (auto found = resolved.find(name); found != resolved.end() && found->second.kind->traits.own_residual &&
                                              std::string(found->second.kind->name) != "identity")
            problems.add("the block '" + name + "' has a skip of its own: a layer without it is no identity",
                         "layer_drop.method", "of the kinds with letters, " + droppable_letters() + " can be dropped");
    if (config.model.norm == NormPlace::post)
        problems.add("dropped layers need the norm before the block: model.norm = \"pre\"", "layer_drop.method");
    if (config.model.memory_form == MemoryForm::projections && config.model.memory > 0)
        problems.add("a dropped layer makes no keys and values to remember: model.memory_form = \"inputs\"",
                     "layer_drop.method");
}

static void check_parts(const ModelConfig& model, Problems& problems) {
    const bool both_ways = model.direction == Direction::bidirectional;
    if (both_ways && model.memory > 0)
        problems.add("a bidirectional model sees its segment only: model.memory = 0", "model.memory");
    const bool bins = !model.adaptive.cutoffs.empty(), adaptive = model.head == HeadForm::adaptive;
    if (bins && !adaptive && model.head != HeadForm::linear)
        problems.add("an adaptive softmax has its own head: model.head = \"adaptive\"", "model.head");
    if (adaptive && !bins) problems.add("an adaptive softmax needs model.adaptive.cutoffs", "model.head");
    if (model.bert.pooler && !both_ways)
        problems.add("the pooler reads an encoder's first position", "model.bert.pooler");
}

static void check_encoder(const Config& config, Problems& problems) {
    const LayoutNode layout = parse_layout(config.encoder->layout);
    if (has_slots(layout)) problems.add("an encoder has no searched places ('?')", "model.encoder.layout");
    else resolve_blocks(layout, *config.encoder, config.blocks, problems, "model.encoder");
    const ModelConfig& encoder = *config.encoder;
    if (encoder.positions != Positions::none && encoder.width % 2)
        problems.add("model.encoder.positions needs an even width", "model.encoder.positions");
    if (encoder.positions == Positions::relative)
        problems.add("an encoder's positions are absolute: sinusoidal or learned", "model.encoder.positions");
    if (!encoder.ngrams.lengths.empty())
        problems.add("n-grams are looked up by a decoder alone", "model.encoder.ngrams.lengths",
                     "model.encoder.ngrams.lengths = \"\"");
    if (encoder.bert.pooler) problems.add("a pooler is for an encoder that stands alone", "model.encoder.bert.pooler");
    if (encoder.memory > 0) problems.add("an encoder sees one source: there is no memory", "model.encoder.memory");
    if (config.search.supernet)
        problems.add("a search has one stack", "model.encoder", "search the decoder's layout without [model.encoder]");
    if (!config.model.adaptive.cutoffs.empty() || !encoder.adaptive.cutoffs.empty())
        problems.add("adaptive embeddings serve one stack: model.adaptive.cutoffs is for a decoder alone",
                     "model.adaptive.cutoffs");
    if (config.model.direction != Direction::causal)
        problems.add("beside an encoder the decoder is causal: model.direction = \"causal\"", "model.direction");
    bool reads = false;
    for (const auto& [name, column] : block_names(decoder_layout(config))) {
        const auto definition = config.blocks.find(name);
        const bool defined = definition != config.blocks.end() && !definition->second.kind.empty();
        const BlockKind* kind = find_block_kind(defined ? definition->second.kind : name);
        reads = reads || (kind && kind->traits.reads_source());
    }
    if (!reads)
        problems.add("no block of the decoder reads the encoder's output", "model.layout",
                     "cross_attention does, letter c: (scf)x6");
}

void check_model(const Config& config, Problems& problems) {
    if (config.encoder) check_encoder(config, problems);
    LayoutNode layout = decoder_layout(config);
    resolve_blocks(layout, config.model, config.blocks, problems);
    if (has_slots(layout) && !config.search.supernet)
        problems.add("the layout has searched places ('?')", "model.layout",
                     "write the blocks that should stand there, or let lithe search find them");
    if (!has_slots(layout) && config.search.supernet)
        problems.add("search.supernet is set and the layout has no searched place ('?')", "model.layout");
    check_parts(config.model, problems);
    check_layer_drop(config, layout, problems);
    if (!config.model.adaptive.cutoffs.empty() && !config.model.tie_embeddings)
        problems.add("adaptive embeddings serve both ends: model.tie_embeddings = true", "model.adaptive.cutoffs");
    if (config.model.positions != Positions::none && (config.model.width % 2 || config.model.token_width() % 2))
        problems.add("model.positions needs an even width", "model.positions");
    if (config.model.embedding_width > 0 && !config.model.adaptive.cutoffs.empty())
        problems.add("embeddings in bins have widths of their own: model.embedding_width = 0", "model.embedding_width");
}

static int64_t max_positions(const Config& config, const ModelConfig& model) {
    return model.max_positions > 0 ? model.max_positions : config.train.length;
}

// Other ways know layers alone.
static bool recomputes_blocks(const Config& config) {
    const RecomputeMethod method = parse_recompute(config.train.recompute).method;
    return method == RecomputeMethod::selective || method == RecomputeMethod::memory;
}

// What the layout of a decoder means, and how its stack is built.
static TokenStack make_decoder(const Config& config, ParameterStore& store, int64_t vocabulary, bool exits) {
    Problems problems;
    check_model(config, problems);
    if (exits) check_exits(config, problems);
    if (vocabulary < 1) problems.add("the vocabulary is empty: set model.vocabulary_size or name the data");
    problems.throw_if_any("model");
    const LayoutNode layout = decoder_layout(config);
    TokenStack::Shape shape{
        .embedding = {.vocabulary = vocabulary, .max_positions = max_positions(config, config.model)},
        .embedding_name = "embeddings",
        .name = "decoder",
        .options = {.layer_drop = config.layer_drop,
                    .recomputable = recomputes_blocks(config),
                    .tie_candidates = config.search.tie_candidates,
                    .exits = exits}};
    if (config.encoder) {
        shape.options.given = {kSource, kSourcePadding};
        shape.options.source_width = config.encoder->width;
    }
    return {store, config.model, layout, resolve_blocks(layout, config.model, config.blocks, problems), shape};
}

// Embeddings in bins bring theirs.
static const HeadKind& head_kind(const ModelConfig& model) {
    const bool bins = !model.adaptive.cutoffs.empty() && model.head != HeadForm::none;
    return head_kind(bins ? HeadForm::adaptive : model.head);
}

// Both read one vocabulary: of the same width they share its vectors.
static TokenStack make_encoder(const Config& config, ParameterStore& store, int64_t vocabulary,
                               const TokenStack& decoder) {
    Problems problems;
    const ModelConfig& model = *config.encoder;
    const LayoutNode layout = parse_layout(model.layout);
    TokenStack::Shape shape{.embedding = {.vocabulary = vocabulary, .max_positions = max_positions(config, model)},
                            .embedding_name = "encoder.embeddings",
                            .name = "encoder",
                            .options = {.recomputable = recomputes_blocks(config)}};
    if (model.token_width() == config.model.token_width()) shape.embedding.tokens = decoder.embedding().tokens();
    return {store, model, layout, resolve_blocks(layout, model, config.blocks, problems, "model.encoder"), shape};
}

LanguageModel::LanguageModel(const Config& config, int64_t vocabulary_size, std::shared_ptr<ParameterStore> given,
                             const std::string& scope, const std::vector<size_t>& exits)
    : config_(config.model),
      layer_drop_(config.layer_drop),
      vocabulary_size_(vocabulary_size),
      store_(given ? std::move(given) : std::make_shared<ParameterStore>()),
      naming_(std::in_place, *store_, scope),
      decoder_(make_decoder(config, *store_, vocabulary_size, !exits.empty())) {
    ParameterStore& store = *store_;
    const int64_t d = config_.width;
    if (!exits.empty()) exits_.emplace(store, config_, exits, decoder_.stack().root->size());
    if (config.encoder) encoder_ = make_encoder(config, store, vocabulary_size, decoder_);
    if (config_.bert.pooler) {
        pooler_ = store.add({"pooler.weight", {d, d}, Role::matrix, Init::xavier(d, d)});
        pooler_bias_ = store.add({"pooler.bias", {d}, Role::bias, Init::constant(0)});
    }
    head_ =
        head_kind(config_).make(store, {.outputs = vocabulary_size,
                                        .width = d,
                                        .norm_epsilon = config_.norm_epsilon,
                                        .bias = config_.head_bias,
                                        .tied = config_.tie_embeddings ? decoder_.embedding().tokens() : Parameter(),
                                        .tied_width = config_.token_width(),
                                        .init = embedding_init(config_),
                                        .adaptive = decoder_.embedding().adaptive()});
    naming_.reset();
    const Recompute recompute = parse_recompute(config.train.recompute);
    if (recompute.method != RecomputeMethod::memory) set_recompute(recompute, cost_shape(config));
}

void LanguageModel::set_recompute(const Recompute& recompute, const CostShape& shape) {
    decoder_.set_recompute(recompute, load_of(decoder_.stack(), shape, config_.width));
    if (encoder_)
        encoder_->set_recompute(recompute, load_of(encoder_->stack(), encoder_shape(shape), encoder_->config().width));
}

void LanguageModel::materialize(at::ScalarType master, at::ScalarType working, at::Device device,
                                std::optional<uint64_t> seed) {
    device_ = device;
    store_->materialize(master, working, device, seed);
}

bool LanguageModel::steady_work() const {
    const auto asks_host = [](const AppliedBlock& block) { return block.parts->kind->traits.asks_host; };
    return !decoder_.embedding().depends_on_ids() && layer_drop_.method == LayerDropMethod::none &&
           stack().slots.empty() && !encoder_ && std::none_of(stack().blocks.begin(), stack().blocks.end(), asks_host);
}

double LanguageModel::outer_flops_per_token() const {
    return (head_ ? head_->flops_per_token() : 0) + decoder_.embedding().flops_per_token();
}

Bag LanguageModel::encode_source(const Tensor& ids_SB, const Tensor& flags_SB, bool training, const DrawKeys& keys,
                                 Aux& aux) const {
    if (!encoder_) fail_usage("the model has no encoder for a source", "model.encoder");
    Pass pass = encoder_->pass(training, keys);
    pass.set_flags(flags_SB);
    TokenStack::Output out = encoder_->forward(ids_SB, {}, {}, pass);
    aux.append(std::move(out.aux));
    Bag bag;
    bag.put(kSource, out.h_TBD);
    if (pass.marks) bag.put(kSourcePadding, pass.marks->padding_BT);
    return bag;
}

void LanguageModel::require_head() const {
    if (!has_head()) fail_usage("a model without a head predicts no tokens", "model.head");
}

TokenStack::Output LanguageModel::hidden(const Tensor& ids_TB, const State& state, const Pass& pass,
                                         const Bag& source) const {
    const auto walk = exits_ ? exits_->walk(pass, *head_) : nullptr;
    if (!walk) return decoder_.forward(ids_TB, source, state, pass);
    // x of a position that left is that of its exit
    TokenStack::Output out = decoder_.forward(ids_TB, source, state, pass.with(Walking{walk}));
    const Tensor exit_TB1 = walk->exits_TB().to(ids_TB.device()).unsqueeze(2);
    for (size_t exit = 0; exit + 1 < exits_->count(); ++exit) {
        const Tensor read = decoder_.read_out(out.x_TBD, exits_->norm(exit), pass);
        out.h_TBD = at::where(exit_TB1.eq(int64_t(exit)), read, out.h_TBD);
    }
    return out;
}

LanguageModel::ExitLosses LanguageModel::exit_losses(const Tensor& ids_TB, const Tensor& targets_TB, const State& state,
                                                     const Pass& pass) const {
    require_head();
    const Pass kept = pass.with(KeepExits());
    TokenStack::Output out = decoder_.forward(ids_TB, {}, state, kept);
    ExitLosses losses{{}, std::move(out.state), std::move(out.aux)};
    const Tensor targets_N = targets_TB.flatten();
    for (size_t exit = 0; exits_ && exit + 1 < exits_->count(); ++exit) {
        const Tensor x_TBD = out.bag.get(exit_key(exits_->layers()[exit]));
        const Tensor h_TBD = decoder_.read_out(x_TBD, exits_->norm(exit), pass);
        losses.sums.push_back(head_->loss(h_TBD.flatten(0, 1), targets_N, 0));
    }
    losses.sums.push_back(head_->loss(out.h_TBD.flatten(0, 1), targets_N, 0));
    return losses;
}

const Exits& LanguageModel::required_exits() const {
    if (!exits_)
        fail_usage("this model has no exits", option("exit"),
                   "train one with objective.name = \"exits\" (docs/how_to/exits.md)");
    return *exits_;
}

void LanguageModel::set_leaving(const ExitRule& rule, std::shared_ptr<ExitCounts> counts) {
    required_exits();
    standing_entries().put(LeavingRule{rule, std::move(counts)});
}

void LanguageModel::keep_layers(const std::string& text) {
    if (exits_) fail_usage("a stack with exits is run from its first layer on", option("layers"), "leave it out");
    decoder_.keep_layers(text);
}

LanguageModel::Output LanguageModel::forward(const Tensor& ids_TB, const State& state, const Pass& pass,
                                             const Bag& source) const {
    require_head();
    TokenStack::Output h = hidden(ids_TB, state, pass, source);
    return {head_->logits(h.h_TBD), std::move(h.state), std::move(h.aux)};
}

LanguageModel::Next LanguageModel::next(const Tensor& ids_TB, const State& state, const Pass& pass, const Bag& source,
                                        bool wants_logits) const {
    require_head();
    TokenStack::Output h = hidden(ids_TB, state, pass, source);
    Next next{{}, std::move(h.state)};
    if (wants_logits) next.logits_BV = head_->logits(h.h_TBD.select(0, ids_TB.size(0) - 1));
    return next;
}

Tensor LanguageModel::pooler(const Tensor& h_BD) const {
    if (!pooler_) fail_usage("the model has no pooler", "model.bert.pooler");
    return at::linear(h_BD, pooler_.tensor(), pooler_bias_.tensor().to(h_BD.scalar_type())).tanh();
}

LanguageModel::Loss LanguageModel::loss(const Tensor& ids_TB, const Tensor& targets_TB, const State& state,
                                        const Pass& pass, const LossOptions& options, const Bag& source) const {
    require_head();
    TokenStack::Output h = hidden(ids_TB, state, pass, source);
    Loss out{{}, std::move(h.state), std::move(h.aux)};
    Tensor h_ND = h.h_TBD.flatten(0, 1), targets_N = targets_TB.flatten();
    if (options.density == TargetDensity::few) {
        const Tensor scored = targets_N.ge(0).nonzero().squeeze(1);
        if (scored.numel() == 0) {  // a small batch may hold none
            out.sum = h_ND.to(ops::compute_type(h_ND.scalar_type())).sum() * 0;
            return out;
        }
        h_ND = h_ND.index_select(0, scored);
        targets_N = targets_N.index_select(0, scored);
    }
    out.sum = head_->loss(h_ND, targets_N, options.smoothing);
    return out;
}

}  // namespace lithe

#include <cmath>

#include "lithe/base/text.h"
#include "lithe/blocks/look.h"
#include "lithe/blocks/relative_attention.h"

namespace lithe {

AttentionValues AttentionValues::defaults(const ModelConfig& model) {
    AttentionValues values;
    values.heads = model.heads;
    values.attention_dropout = model.attention_dropout;
    if (model.positions == Positions::relative) values.positions = KeyPositions::relative;
    if (model.positions == Positions::rotary) values.positions = KeyPositions::rotary;
    return values;
}

void AttentionValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the four products"}, bias);
    v.field({.name = "attention_dropout", .help = "dropout of attention weights", .minimum = 0, .maximum = 0.99},
            attention_dropout);
    v.field(
        {.name = "positions",
         .help = "of keys: none (absolute ones may be added at the embedding), relative (Transformer-XL), rotary, or "
                 "alibi"},
        positions);
    v.field({.name = "clamp_length",
             .help = "relative: distances beyond this count as this; 0 = no clamp",
             .minimum = 0,
             .maximum = 1 << 30},
            clamp_length);
    v.field({.name = "tie_position_biases", .help = "relative: one pair u, v for all layers, else one for each"},
            tie_position_biases);
    v.field({.name = "rotary_base", .help = "rotary: of the angles", .minimum = 1.5, .maximum = 1e12}, rotary_base);
    v.field({.name = "rotary_share",
             .help = "rotary: share of each head's numbers that are turned, from the first",
             .minimum = 0,
             .maximum = 1},
            rotary_share);
    v.field({.name = "key_value_heads",
             .help = "heads of keys and values, each shared by neighbouring heads of queries; 0: one for each",
             .minimum = 0,
             .maximum = 4096},
            key_value_heads);
    v.field({.name = "window",
             .help = "causal: a query sees the newest so many keys, itself among them; 0: all",
             .minimum = 0,
             .maximum = 1 << 30},
            window);
    v.field({.name = "query_key_norm", .help = "RMS norm of each head's queries and keys"}, query_key_norm);
    v.field({.name = "soft_cap",
             .help = "scores s become soft_cap tanh(s / soft_cap); 0: they stay as they are",
             .minimum = 0,
             .maximum = 1e6},
            soft_cap);
    v.field({.name = "sinks", .help = "each head's softmax has a learned number more in its denominator"}, sinks);
    v.field(
        {.name = "forget_gate",
         .help = "causal: scores lose what gates of the positions since the key let go of, computed from the input"},
        forget_gate);
    v.field({.name = "gated", .help = "what attention gives is multiplied by a sigmoid of a product of the input"},
            gated);
    v.field({.name = "init", .help = "of the matrices: Xavier's uniform, or normal with deviation 0.02"}, init);
}

void AttentionValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (model.width % heads)
        problems.add(where + ": width " + std::to_string(model.width) + " is no multiple of heads " +
                     std::to_string(heads));
    if (key_value_heads > 0 && heads % key_value_heads)
        problems.add(where + ": heads " + std::to_string(heads) + " are no multiple of key_value_heads " +
                     std::to_string(key_value_heads));
    if (window > 0 && model.direction != Direction::causal)
        problems.add(where + ": a window looks back: the model must be causal");
    if (positions == KeyPositions::alibi && model.direction != Direction::causal)
        problems.add(where + ": ALiBi's positions count back from the query: the model must be causal");
    if (forget_gate && model.direction != Direction::causal)
        problems.add(where + ": a forget gate counts back from the query: the model must be causal");
    if (positions == KeyPositions::rotary) check_rotary(model, where, problems);
    if (positions == KeyPositions::relative) check_relative(model, where, problems);
}

void AttentionValues::check_rotary(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (model.width % heads == 0 && model.width / heads % 2)
        problems.add(where + ": rotary positions turn pairs, and a head has " + std::to_string(model.width / heads) +
                     " numbers");
    else if (model.width % heads == 0 && std::llround(rotary_share * double(model.width / heads) / 2) == 0)
        problems.add(where + ": rotary_share " + format_number(rotary_share) + " turns none of a head's " +
                     std::to_string(model.width / heads) + " numbers");
}

void AttentionValues::check_relative(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (model.direction != Direction::causal)
        problems.add(where + ": relative positions count back from the query: the model must be causal");
    if (model.width % 2) problems.add(where + ": relative positions need an even width");
    if (grouped() || window > 0 || gated || query_key_norm || soft_cap > 0 || sinks || forget_gate)
        problems.add(where +
                         ": relative positions stand with as many heads of keys as of queries, without window, gates, "
                         "norm, cap or sinks",
                     "", "positions = \"rotary\" goes with all of them");
}

Init AttentionValues::matrix_init(int64_t width) const {
    return init == AttentionInit::normal ? Init::normal(0.02) : Init::xavier(width, width);
}

AttentionBlock::AttentionBlock(const AttentionValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width) {
    const Init init = values.matrix_init(width_);
    if (values.grouped()) {
        query_ = {site, "query", {1, width_, width_}, values.bias, init};
        key_value_ = {site, "key_value", {2, kept_width(), width_}, values.bias, init};
    } else {
        qkv_ = {site, "qkv", {3, width_, width_}, values.bias, init};
    }
    if (values.query_key_norm) {
        query_norm_ = RmsNorm(site.store, site.name + ".query_norm", head_size(), site.model.norm_epsilon);
        key_norm_ = RmsNorm(site.store, site.name + ".key_norm", head_size(), site.model.norm_epsilon);
    }
    if (values.sinks) sinks_ = site.store.add({site.name + ".sinks", {values.heads}, Role::vector, Init::normal(0.02)});
    if (values.forget_gate)
        forget_ = {site, "forget", {1, values.heads, width_}, true, Init::xavier(width_, values.heads)};
    if (values.gated) gate_ = {site, "gate", {1, width_, width_}, values.bias, init};
    out_ = {site, "out", {1, width_, width_}, values.bias, init};
}

std::unique_ptr<Block> make_attention(const BlockOptions& options, const BlockSite& site) {
    const auto& values = values_of<AttentionValues>(options);
    if (values.positions == KeyPositions::relative) return std::make_unique<RelativeAttentionBlock>(values, site);
    return std::make_unique<AttentionBlock>(values, site);
}

Tensor alibi_slopes(int64_t heads, at::TensorOptions options) {
    int64_t power = 1;
    while (2 * power <= heads) power *= 2;
    const auto places = [&](int64_t count) { return at::arange(1, count + 1, options); };
    const Tensor first = at::exp2(places(power) * (-8.0 / double(power)));
    const int64_t left = heads - power;  // take every other slope of twice as many heads
    return left == 0 ? first : at::cat({first, at::exp2((2 * places(left) - 1) * (-4.0 / double(power)))});
}

Tensor AttentionBlock::attended(ops::AttentionInput in) const {
    in.soft_cap = values_.soft_cap;
    const auto sums = in.kv_TBX.options().dtype(ops::compute_type(in.kv_TBX.scalar_type())).requires_grad(false);
    if (values_.positions == KeyPositions::alibi) in.slopes_H = alibi_slopes(values_.heads, sums);
    return values_.sinks ? ops::with_sinks(ops::attention_with_lse(in), sinks_.tensor()) : ops::attention(in);
}

ops::Rotary AttentionBlock::rotary() const {
    const auto turned = int64_t(std::llround(values_.rotary_share * double(head_size()) / 2)) * 2;
    return {.size = head_size(), .turned = std::min(turned, head_size()), .base = values_.rotary_base};
}

Tensor AttentionBlock::with_normed_keys(const Tensor& kv_SBX) const {
    if (!values_.query_key_norm) return kv_SBX;
    const auto parts = kv_SBX.chunk(2, 2);
    return at::cat({key_norm_(parts[0]), parts[1]}, 2);
}

Tensor AttentionBlock::log_gates(const Tensor& x_SBD) const {
    const Tensor gates = forget_(x_SBD);
    return at::log_sigmoid(gates.to(ops::compute_type(gates.scalar_type())));
}

// Of what a head has let go since a key, the sum up to the key is its own, and that up to the query the whole row's.
void AttentionBlock::put_forgetting(ops::AttentionInput& in, const Tensor& earlier_MBH, const Tensor& now_TBH) const {
    Tensor logs = earlier_MBH.defined() ? at::cat({earlier_MBH, now_TBH}) : now_TBH;
    if (const Tensor& hidden = in.mask.hidden_BS; hidden.defined())
        logs = logs.masked_fill(hidden.t().ne(0).unsqueeze(2), 0);
    in.key_bias_BHS = logs.to(at::kDouble).cumsum(0).neg().permute({1, 2, 0});
}

Tensor AttentionBlock::keys_values(const Tensor& x_SBD) const {
    return with_normed_keys(values_.grouped() ? key_value_(x_SBD) : qkv_(x_SBD, width_));
}

AttentionBlock::Projected AttentionBlock::project(const Tensor& x_TBD) const {
    Projected all;
    if (values_.grouped()) {
        all.q_TBP = query_(x_TBD);
        all.kv_TBX = key_value_(x_TBD);
    } else {
        all.packed_TBX = qkv_(x_TBD);
        all.q_TBP = all.packed_TBX.narrow(2, 0, width_);
        all.kv_TBX = all.packed_TBX.narrow(2, width_, 2 * width_);
    }
    if (values_.query_key_norm) return {query_norm_(all.q_TBP), with_normed_keys(all.kv_TBX), {}};
    return all;
}

Tensor AttentionBlock::placed(const Tensor& kv_SBX, int64_t first) const {
    if (!kv_SBX.defined()) return kv_SBX;
    Tensor kv = kv_SBX;
    if (values_.positions == KeyPositions::rotary) kv = ops::rotary(kv, rotary(), values_.kept_heads(), first);
    if (!values_.grouped()) return kv;
    const int64_t heads = values_.kept_heads(), shared = values_.heads / heads;
    return kv.unflatten(2, {2, heads, 1, head_size()}).expand({-1, -1, -1, -1, shared, -1}).flatten(2);
}

ops::AttentionInput AttentionBlock::input(const Projected& all, int64_t before) const {
    const bool turned = values_.positions == KeyPositions::rotary;
    ops::AttentionInput in{.heads = values_.heads};
    if (all.packed_TBX.defined()) {
        in.kv_TBX = turned ? ops::rotary(all.packed_TBX, rotary(), 2 * values_.heads, before) : all.packed_TBX;
        return in;
    }
    in.q_TBP = turned ? ops::rotary(all.q_TBP, rotary(), values_.heads, before) : all.q_TBP;
    in.kv_TBX = placed(all.kv_TBX, before);
    return in;
}

BranchOutput AttentionBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const Projected projected = project(x_TBD);
    Tensor earlier_logs, logs;
    const Recalled recalled = recall(state, x_TBD, call, [&](const Tensor& memory_MBD) {
        const Tensor normed = call.normed(memory_MBD);
        if (values_.forget_gate) earlier_logs = log_gates(normed);
        return keys_values(normed);
    });
    ops::AttentionInput in = input(projected, recalled.length());
    in.memory_MBX = placed(recalled.memory_MBX, 0);
    in.mask = recalled.mask.mask;
    if (values_.window > 0) {
        const int64_t back = values_.window - 1;
        in.mask.window = in.mask.window < 0 ? back : std::min(in.mask.window, back);
    }
    if (values_.forget_gate) {
        logs = log_gates(x_TBD);
        if (call.pass.keep_projections) earlier_logs = state.get("gates");
        put_forgetting(in, earlier_logs, logs);
    }
    if (call.pass.training) {
        in.dropout = values_.attention_dropout;
        in.dropout_key = call.site("attention");
    }
    Tensor mixed = attended(in);
    show(call, {in.kv_TBX, in.kv_TBX.size(2) - width_, mixed, values_.heads});
    if (values_.gated) mixed = mixed * gate_(x_TBD).sigmoid();
    out.delta_TBD = out_(mixed);
    const Pass pass = windowed(call.pass);
    remember(state, recalled, call.entering(x_TBD), projected.kv_TBX, Call(pass, call.place, call.bag), out.state);
    if (logs.defined() && pass.keep_projections && pass.memory > 0)
        out.state.put("gates", keep_last(state.get("gates"), logs.detach(), 0, pass.memory), 1, 0);
    return out;
}

State AttentionBlock::skip(const Tensor& x_TBD, const State& state, const Call& call) const {
    const Pass pass = windowed(call.pass);
    const Call here(pass, call.place, call.bag);
    State after = skipped_attention(x_TBD, state, here, [&](const Tensor& normed) { return keys_values(normed); });
    if (values_.forget_gate && pass.keep_projections && pass.memory > 0) {
        const Tensor logs = log_gates(here.normed(here.entering(x_TBD)));
        after.put("gates", keep_last(state.get("gates"), logs.detach(), 0, pass.memory), 1, 0);
    }
    return after;
}

StepOutput AttentionBlock::add_step(StepProgram& program, const float* x, int64_t memory) const {
    // a program's attention knows none of these
    if (values_.positions == KeyPositions::alibi || values_.soft_cap > 0 || values_.sinks || values_.forget_gate)
        return {};
    const int64_t kept = kept_width(), row = width_ + 2 * kept;
    float *qkv = program.vector(row), *mixed = program.vector(width_), *delta = program.vector(width_);
    float *q = qkv, *kv = qkv + width_;
    int64_t q_stride = row, kv_stride = row;
    if (values_.grouped()) {
        q = program.vector(width_);
        kv = program.vector(2 * kept);
        q_stride = width_;
        kv_stride = 2 * kept;
        program.product({.weight = query_.weight, .bias = query_.bias, .x = x, .y = q, .settled = false});
        program.product({.weight = key_value_.weight, .bias = key_value_.bias, .x = x, .y = kv});
    } else {
        program.product({.weight = qkv_.weight, .bias = qkv_.bias, .x = x, .y = qkv});
    }
    if (values_.query_key_norm) {
        program.rms_norm(query_norm_,
                         {.x = q, .x_stride = q_stride, .y_stride = q_stride, .heads = values_.heads, .y = q});
        program.rms_norm(
            key_norm_, {.x = kv, .x_stride = kv_stride, .y_stride = kv_stride, .heads = values_.kept_heads(), .y = kv});
    }
    StepProgram::Attention attention{.q = q,
                                     .kv = kv,
                                     .q_stride = q_stride,
                                     .kv_stride = kv_stride,
                                     .width = width_,
                                     .heads = values_.heads,
                                     .kept_heads = values_.kept_heads(),
                                     .memory = values_.window > 0 ? std::min(memory, values_.window - 1) : memory,
                                     .out = mixed};
    if (values_.positions == KeyPositions::rotary) attention.rotary = rotary();
    auto load = program.attention(attention);
    if (values_.gated) {
        float* gate = program.vector(width_);
        program.product({.weight = gate_.weight, .bias = gate_.bias, .x = x, .y = gate});
        program.parts(width_, [gate, mixed, width = width_](int64_t of, int64_t begin, int64_t end) {
            for (int64_t i = of * width + begin; i < of * width + end; ++i) mixed[i] /= 1 + std::exp(-gate[i]);
        });
    }
    program.product({.weight = out_.weight, .bias = out_.bias, .x = mixed, .y = delta});
    return {delta, [load](const State& state, int64_t of) { load(state.get("projections"), of); }};
}

double AttentionBlock::flops_per_token(const CostShape& all) const {
    const CostShape shape = windowed(all);
    const double d = double(width_), forgets = values_.forget_gate ? 2 * d * double(values_.heads) : 0;
    const double kept = 4 * d * double(kept_width()) + forgets;  // keys and values
    return (values_.gated ? 6 : 4) * d * d + kept + 4 * shape.keys(values_.window) * d + shape.again() * kept;
}

double AttentionBlock::flops_without_input_gradient(const CostShape& all) const {
    const CostShape shape = windowed(all);
    const double d = double(width_);
    const double forgets = values_.forget_gate ? 2 * d * double(values_.heads) : 0;
    return shape.again() * (4 * d * double(kept_width()) + forgets) + (shape.kept ? 4 * double(shape.memory) * d : 0);
}

double AttentionBlock::activation_numbers_per_token(const CostShape& all) const {
    const CostShape shape = windowed(all);
    const double span = 1 + double(shape.memory) / double(shape.length);
    const bool kept = values_.soft_cap == 0 || values_.attention_dropout > 0;
    return double(width_) *
               ((values_.gated ? 7 : 4) + (values_.sinks ? 1 : 0) + (values_.query_key_norm ? 3 : 0) + 2 * span) +
           (values_.forget_gate ? 16 / double(shape.element_size) * span * double(values_.heads) : 0) +
           (kept ? kept_scores(shape, values_.heads, values_.attention_dropout, 2) : 0);
}

}  // namespace lithe

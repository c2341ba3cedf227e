#include "lithe/blocks/trans_blstm.h"

#include "lithe/base/position_flags.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/lstm.h"

namespace lithe {
namespace {

// Those of the positions in the opposite order: a document then begins where it ended.
Tensor reversed(const Tensor& flags_TB) {
    if (!flags_TB.defined() || flags_TB.size(0) == 0) return flags_TB;
    const Tensor begins = flags_TB.bitwise_and(int64_t(kDocumentBegins));
    const Tensor ends = at::cat({begins.narrow(0, 1, begins.size(0) - 1), at::zeros_like(begins.narrow(0, 0, 1))});
    return flags_TB.bitwise_and(int64_t(kPadding)).bitwise_or(ends).flip(0);
}

Tensor run(const GatedWeights& weights, const Tensor& x_TBD, const Tensor& flags_TB) {
    return ops::lstm({.x_TBI = x_TBD,
                      .w_input = weights.w_input.tensor(),
                      .w_state = weights.w_state.tensor(),
                      .bias = weights.bias(),
                      .flags_TB = flags_TB})
        .h_TBD;
}

}  // namespace

TransBlstmValues TransBlstmValues::defaults(const ModelConfig& model) {
    TransBlstmValues values;
    values.heads = model.heads;
    values.units = model.width;
    values.inner = 4 * model.width;
    values.dropout = model.dropout;
    values.attention_dropout = model.attention_dropout;
    return values;
}

void TransBlstmValues::visit(FieldVisitor& v) {
    v.field({.name = "form", .help = "parallel: the LSTM stands beside the feed-forward; replace: in place of it"},
            form);
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field(
        {.name = "units", .help = "of the LSTM, in each direction; default width", .minimum = 1, .maximum = 1 << 20},
        units);
    v.field({.name = "inner", .help = "of the feed-forward; default 4 x width", .minimum = 1, .maximum = 1 << 22},
            inner);
    v.field({.name = "dropout", .help = "of what each part adds", .minimum = 0, .maximum = 0.99}, dropout);
    v.field({.name = "attention_dropout", .help = "dropout of attention weights", .minimum = 0, .maximum = 0.99},
            attention_dropout);
}

AttentionValues TransBlstmValues::attention(const ModelConfig& model) const {
    AttentionValues values = AttentionValues::defaults(model);
    values.heads = heads;
    values.bias = true;
    values.attention_dropout = attention_dropout;
    return values;
}

void TransBlstmValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    attention(model).check(model, where, problems);
}

TransBlstmBlock::TransBlstmBlock(const TransBlstmValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width) {
    const auto below = [&](const char* name) {
        return BlockSite{site.store, site.name + name, site.model, site.source_width};
    };
    const auto norm = [&](const char* name) {
        return LayerNorm(site.store, site.name + name, width_, site.model.norm_epsilon);
    };
    attention_ = std::make_unique<AttentionBlock>(values.attention(site.model), below(".attention"));
    attention_norm_ = norm(".attention_norm");
    if (values.form == TransBlstmForm::parallel) {
        FeedForwardValues feed_forward;
        feed_forward.inner = values.inner;
        feed_forward_ = std::make_unique<FeedForwardBlock>(feed_forward, below(".feed_forward"));
    }
    const int64_t d = width_, units = values.units;
    const auto start = GatedWeights::uniform(units);
    directions_ = {GatedWeights(site, site.name + ".forward", {.planes = 4, .inputs = d, .units = units}, start),
                   GatedWeights(site, site.name + ".backward", {.planes = 4, .inputs = d, .units = units}, start)};
    out_ = site.store.add({site.name + ".out", {d, 2 * units}, Role::matrix, Init::xavier(2 * units, d)});
    out_bias_ = site.store.add({site.name + ".out_bias", {d}, Role::bias, Init::constant(0)});
    norm_ = norm(".norm");
}

Tensor TransBlstmBlock::dropped(const Tensor& x_TBD, const char* place, const Call& call) const {
    return call.pass.training ? ops::dropout(x_TBD, values_.dropout, call.site(place), 1) : x_TBD;
}

Tensor TransBlstmBlock::lstm(const Tensor& x_TBD, const Call& call) const {
    const Tensor flags_TB = call.pass.flags_TB();
    const Tensor forward = run(directions_[0], x_TBD, flags_TB);
    const Tensor backward = run(directions_[1], x_TBD.flip(0), reversed(flags_TB)).flip(0);
    return at::linear(at::cat({forward, backward}, -1), out_.tensor(), out_bias_.tensor().to(x_TBD.scalar_type()));
}

BranchOutput TransBlstmBlock::branch(const Tensor& x_TBD, const State&, const Call& call) const {
    const Tensor attended = attention_->branch(x_TBD, {}, call).delta_TBD;
    const Tensor a_TBD = attention_norm_(x_TBD + dropped(attended, "attended", call));
    Tensor sum = a_TBD + dropped(lstm(feed_forward_ ? x_TBD : a_TBD, call), "lstm", call);
    if (feed_forward_) sum = sum + dropped(feed_forward_->branch(a_TBD, {}, call).delta_TBD, "feed_forward", call);
    BranchOutput out;
    out.delta_TBD = norm_(sum);
    return out;
}

// Four products of the input and of the state in each direction, and the one of both.
double TransBlstmBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_), units = double(values_.units);
    const double of_lstm = 2 * 8 * units * (d + units) + 4 * units * d;
    return attention_->flops_per_token(shape) + of_lstm + (feed_forward_ ? feed_forward_->flops_per_token(shape) : 0);
}

// Of each direction x in its order, gates, c and h; both h side by side; sums and norms.
double TransBlstmBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double d = double(width_), units = double(values_.units);
    const double of_lstm = d + 2 * 7 * units + 2 * units;
    return attention_->activation_numbers_per_token(shape) + of_lstm + (values_.dropout > 0 ? 8 : 5) * d +
           (feed_forward_ ? feed_forward_->activation_numbers_per_token(shape) : 0);
}

}  // namespace lithe

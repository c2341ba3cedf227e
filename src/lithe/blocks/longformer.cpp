#include "lithe/blocks/longformer.h"

#include "lithe/blocks/look.h"
#include "lithe/ops/patterned_attention.h"

namespace lithe {

LongformerValues LongformerValues::defaults(const ModelConfig& model) {
    LongformerValues values;
    values.heads = model.heads;
    values.global_tokens = model.direction == Direction::causal ? 0 : 1;
    return values;
}

void LongformerValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "window", .help = "keys on each side that a query sees", .minimum = 0, .maximum = 1 << 30},
            window);
    v.field({.name = "dilation",
             .help = "positions from one key of the window to the next",
             .minimum = 1,
             .maximum = 1 << 20},
            dilation);
    v.field({.name = "dilated_heads",
             .help = "heads whose window is dilated, the last ones; 0: all",
             .minimum = 0,
             .maximum = 4096},
            dilated_heads);
    v.field({.name = "global_tokens",
             .help = "positions, from the segment's first, that see all and are seen by all; default 1, causal 0",
             .minimum = 0,
             .maximum = 1 << 20},
            global_tokens);
}

void LongformerValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
    if (global_tokens > 0 && model.direction == Direction::causal)
        problems.add(where + ": global tokens see the whole segment: a causal model has none", "", "global_tokens = 0");
    if (dilated_heads > heads)
        problems.add(where + ": dilated_heads " + std::to_string(dilated_heads) + " are more than heads " +
                     std::to_string(heads));
}

LongformerBlock::LongformerBlock(const LongformerValues& values, const BlockSite& site)
    : PatternedBlock(values, site),
      values_(values) {
    if (values.global_tokens == 0) return;
    const Init init = values.matrix_init(width_);
    global_query_ = {site, "global_query", {1, width_, width_}, values.bias, init};
    global_key_value_ = {site, "global_key_value", {2, width_, width_}, values.bias, init};
}

Tensor LongformerBlock::local(const ops::AttentionInput& in, int64_t dilation) const {
    const int64_t steps = in.kv_TBX.size(0), batch = in.kv_TBX.size(1);
    const int64_t globals = std::min(values_.global_tokens, steps), ahead = in.mask.causal ? 0 : values_.window;
    if (globals == 0) return ops::dilated_attention(in, dilation, values_.window, ahead).out_TBP;
    ops::AttentionInput near = in, far = in;
    const Tensor& hidden = in.mask.hidden_BS;
    const auto marks = at::TensorOptions(at::kByte).device(in.kv_TBX.device());
    near.mask.hidden_BS = hidden.defined() ? hidden.clone() : at::zeros({batch, steps}, marks);
    near.mask.hidden_BS.narrow(1, 0, globals).fill_(1);  // they are counted once
    far.kv_TBX = in.kv_TBX.narrow(0, 0, 0);
    far.memory_MBX = in.kv_TBX.narrow(0, 0, globals);
    if (hidden.defined()) far.mask.hidden_BS = hidden.narrow(1, 0, globals).contiguous();
    return ops::joined({ops::dilated_attention(near, dilation, values_.window, ahead), ops::attention_with_lse(far)});
}

Tensor LongformerBlock::all_local(const ops::AttentionInput& in) const {
    const int64_t plain = values_.dilation == 1 ? heads_ : undilated_heads();
    if (plain == heads_) return local(in, 1);
    if (plain == 0) return local(in, values_.dilation);
    const auto of_heads = [&](int64_t first, int64_t count) {
        const int64_t size = width_ / heads_;
        const auto part = [&](const Tensor& x, int64_t which) {
            return x.narrow(2, which * width_ + first * size, count * size);
        };
        const auto keys_values = [&](const Tensor& x) {
            return x.defined() ? at::cat({part(x, 0), part(x, 1)}, 2) : Tensor();
        };
        ops::AttentionInput some = in;
        some.q_TBP = part(in.q_TBP, 0);
        some.kv_TBX = keys_values(in.kv_TBX);
        some.memory_MBX = keys_values(in.memory_MBX);
        some.heads = count;
        return some;
    };
    return at::cat({local(of_heads(0, plain), 1), local(of_heads(plain, heads_ - plain), values_.dilation)}, 2);
}

Tensor LongformerBlock::global(const ops::AttentionInput& in, const Tensor& x_TBD, int64_t count,
                               const Call& call) const {
    const Tensor kv = global_key_value_(x_TBD);
    ops::AttentionInput all{.q_TBP = global_query_(x_TBD.narrow(0, 0, count)),
                            .kv_TBX = kv.narrow(0, 0, 0),
                            .memory_MBX = kv,
                            .mask = in.mask,
                            .heads = heads_};
    all.mask.causal = false;
    if (in.mask.first_BT.defined()) all.mask.first_BT = in.mask.first_BT.narrow(1, 0, count).contiguous();
    const Tensor mixed = ops::attention(all);
    show(call, {kv, width_, mixed, heads_});
    return mixed;
}

Tensor LongformerBlock::attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State&,
                                 const Call& call) const {
    ops::AttentionInput apart = in;
    apart.q_TBP = in.kv_TBX.narrow(2, 0, width_);
    apart.kv_TBX = in.kv_TBX.narrow(2, width_, 2 * width_);
    const Tensor mixed = all_local(apart);
    const int64_t steps = in.kv_TBX.size(0), globals = std::min(values_.global_tokens, steps);
    if (globals == 0) return mixed;
    return at::cat({global(in, x_TBD, globals, call), mixed.narrow(0, globals, steps - globals)});
}

double LongformerBlock::pairs(const CostShape& shape) const {
    const int64_t steps = shape.length, memory = shape.causal ? shape.memory : 0, keys = memory + steps;
    const int64_t globals = std::min(values_.global_tokens, steps);
    const int64_t plain = values_.dilation == 1 ? heads_ : undilated_heads();
    double pairs = 0;
    for (int64_t p = memory; p < keys; ++p)
        for (const auto& [heads, dilation] : {std::pair(plain, int64_t(1)), {heads_ - plain, values_.dilation}}) {
            const int64_t behind = shape.causal ? 0 : std::min(values_.window, (keys - 1 - p) / dilation);
            pairs += double(heads) * double(1 + std::min(values_.window, p / dilation) + behind);
        }
    return pairs / double(heads_) + 2 * double(globals) * double(steps);
}

double LongformerBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_),
                 share = double(std::min(values_.global_tokens, shape.length)) / double(shape.length);
    return PatternedBlock::flops_per_token(shape) + (values_.global_tokens > 0 ? 4 * d * d + 2 * share * d * d : 0);
}

double LongformerBlock::activation_numbers_per_token(const CostShape& shape) const {
    return PatternedBlock::activation_numbers_per_token(shape) + (values_.global_tokens > 0 ? 5 : 0) * double(width_);
}

}  // namespace lithe

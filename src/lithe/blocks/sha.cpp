#include "lithe/blocks/sha.h"

#include <cmath>

#include "lithe/blocks/attention_memory.h"
#include "lithe/blocks/look.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/lstm.h"

namespace lithe {

ShaValues ShaValues::defaults(const ModelConfig& model) {
    ShaValues values;
    values.dropout = model.dropout;
    return values;
}

void ShaValues::visit(FieldVisitor& v) {
    v.field({.name = "attention", .help = "the head; in the source's models one block of four has it"}, attention);
    v.field({.name = "expansion", .help = "parts of the boom", .minimum = 1, .maximum = 64}, expansion);
    v.field({.name = "dropout", .help = "of everything that is dropped", .minimum = 0, .maximum = 0.99}, dropout);
}

ShaBlock::ShaBlock(const ShaValues& values, const BlockSite& site) : values_(values), width_(site.model.width) {
    const int64_t d = width_;
    norm_ = LayerNorm(site.store, site.name + ".norm", d, kShaNormEpsilon);
    lstm_ = GatedWeights(site, site.name, {.planes = 4, .inputs = d, .units = d}, GatedWeights::uniform(d));
    if (values.attention) add_attention(site);
    BoomValues boom;
    boom.expansion = values.expansion;
    boom.dropout = values.dropout;
    boom_ =
        std::make_unique<BoomBlock>(boom, BlockSite{site.store, site.name + ".boom", site.model, site.source_width});
}

void ShaBlock::add_attention(const BlockSite& site) {
    const int64_t d = width_;
    const auto norm = [&](const char* name) { return LayerNorm(site.store, site.name + name, d, kShaNormEpsilon); };
    const auto matrix = [&](const char* name, int64_t parts) {
        const Init init = Init::normal(kShaDeviation / std::sqrt(double(d)));
        return site.store.add({site.name + name, {parts * d, d}, Role::matrix, init, parts});
    };
    const auto zeros = [&](const char* name, int64_t size, Role role) {
        return site.store.add({site.name + name, {size}, role, Init::constant(0)});
    };
    norm_memory_ = norm(".norm_memory");
    norm_middle_ = norm(".norm_middle");
    query_ = matrix(".query", 1);
    query_bias_ = zeros(".query_bias", d, Role::bias);
    norm_query_ = norm(".norm_query");
    query_gate_ = zeros(".query_gate", d, Role::vector);
    key_gate_ = zeros(".key_gate", d, Role::vector);
    value_gate_ = zeros(".value_gate", d, Role::vector);
    value_ = matrix(".value", 2);
    value_bias_ = zeros(".value_bias", 2 * d, Role::bias);
}

Tensor ShaBlock::dropped(const Tensor& x, const char* place, const Call& call) const {
    return call.pass.training ? ops::dropout(x, values_.dropout, call.site(place), 1) : x;
}

Tensor ShaBlock::recur(const Tensor& x_TBD, const State& state, const Call& call, State& after) const {
    const auto out = ops::lstm({.x_TBI = norm_(x_TBD),
                                .w_input = lstm_.w_input.tensor(),
                                .w_state = lstm_.w_state.tensor(),
                                .bias = lstm_.bias(),
                                .h0_BD = state.get("h"),
                                .c0_BD = state.get("c"),
                                .flags_TB = call.pass.flags_TB()});
    after.put("h", out.h_BD, 0);
    after.put("c", out.c_BD, 0);
    return dropped(out.h_TBD, "lstm", call);
}

Tensor ShaBlock::attend(const Tensor& h_TBD, const State& state, const Call& call, State& after) const {
    const auto type = h_TBD.scalar_type();
    const Tensor m = norm_memory_(h_TBD), h = norm_middle_(h_TBD);
    const Recalled recalled = recall(state, m, call, [](const Tensor& memory) { return memory; });
    const Tensor gates = (query_gate_.tensor().sigmoid() * key_gate_.tensor().sigmoid()).to(type);
    const Tensor q = norm_query_(at::linear(h, query_.tensor(), query_bias_.tensor().to(type))) * gates;
    ops::AttentionInput in{.q_TBP = dropped(q, "query", call), .kv_TBX = m, .memory_MBX = recalled.memory_MBX};
    in.mask = recalled.mask.mask;
    if (looker_of(call.pass)) {
        in.kv_TBX = at::cat({m, m}, 2);
    } else if (call.pass.training && values_.dropout > 0) {  // keys are not dropped, values are
        in.kv_TBX = at::cat({m, dropped(m, "values", call)}, 2);
        if (const Tensor& memory = recalled.memory_MBX; memory.defined())
            in.memory_MBX = at::cat({memory, dropped(memory, "memory", call)}, 2);
        in.dropout = values_.dropout;
        in.dropout_key = call.site("attention");
    }
    const auto value =
        at::linear(value_gate_.tensor().sigmoid().to(type).unsqueeze(0), value_.tensor(), value_bias_.tensor().to(type))
            .chunk(2, 1);
    const Tensor read = ops::attention(in);
    show(call, {in.kv_TBX, in.kv_TBX.size(2) - m.size(2), read, 1});
    const Tensor mixed = read * (value[0].tanh() * value[1].sigmoid());
    remember(state, recalled, m, m, call, after);
    return h + dropped(mixed, "mixed", call);
}

BranchOutput ShaBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    Tensor h = recur(x_TBD, state, call, out.state);
    if (values_.attention) h = attend(h, state, call, out.state);
    out.delta_TBD = boom_->branch(h, {}, call).delta_TBD;
    return out;
}

double ShaBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_), of_values = 4 * d * d / (double(shape.length) * double(shape.batch));
    const double attention = values_.attention ? 2 * d * d + 4 * shape.keys() * d + of_values : 0;
    return 16 * d * d + attention + boom_->flops_per_token(shape);
}

double ShaBlock::flops_without_input_gradient(const CostShape& shape) const {
    return values_.attention ? 4 * double(shape.memory) * double(width_) : 0;
}

double ShaBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double attention = values_.attention ? 10 * double(width_) + kept_scores(shape, 1, values_.dropout, 2) : 0;
    return 10 * double(width_) + attention + boom_->activation_numbers_per_token(shape);
}

}  // namespace lithe

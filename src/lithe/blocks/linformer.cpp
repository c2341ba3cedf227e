#include "lithe/blocks/linformer.h"

#include <cmath>

#include "lithe/blocks/fixed_length.h"
#include "lithe/blocks/layer_place.h"

namespace lithe {

LinformerValues LinformerValues::defaults(const ModelConfig& model) {
    LinformerValues values;
    values.heads = model.heads;
    return values;
}

void LinformerValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "length", .help = "positions that a segment has at most", .minimum = 1, .maximum = 1 << 24},
            length);
    v.field({.name = "rank", .help = "rows that they are projected to", .minimum = 1, .maximum = 1 << 20}, rank);
    v.field({.name = "sharing",
             .help = "of the projections: none, by all heads of a layer, by keys and values too, by all layers"},
            sharing);
}

void LinformerValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
    if (rank > length)
        problems.add(where + ": rank " + std::to_string(rank) + " is more than the " + std::to_string(length) +
                         " positions of length, which it is to make fewer",
                     "", "rank = " + std::to_string(std::max<int64_t>(1, length / 4)));
}

LinformerBlock::LinformerBlock(const LinformerValues& values, const BlockSite& site)
    : PatternedBlock(values, site),
      values_(values) {
    using enum LinformerSharing;
    const int64_t matrices = values.sharing == none ? heads_ : 1;
    const bool everywhere = values.sharing == layerwise;
    const std::string stack = LayerPlace(site, "linformer").stack;
    const std::string owner = everywhere && !stack.empty() ? stack + ".linformer" : site.name;
    const auto matrix = [&](const char* name) {
        return site.store.add_shared({owner + "." + name,
                                      {matrices * values.length, values.rank},
                                      Role::matrix,
                                      Init::uniform(1 / std::sqrt(double(values.rank))),
                                      matrices},
                                     everywhere);
    };
    const bool one = values.sharing == key_value || everywhere;
    keys_ = matrix(one ? "positions" : "key_positions");
    if (!one) values_of_keys_ = matrix("value_positions");
}

// [rank][B][P] of [n][B][P].
Tensor LinformerBlock::projected(const Tensor& x_TBP, const Parameter& by) const {
    const int64_t n = x_TBP.size(0), batch = x_TBP.size(1), width = x_TBP.size(2);
    const Tensor matrix = by.tensor();
    if (values_.sharing != LinformerSharing::none)
        return at::mm(matrix.narrow(0, 0, n).t(), x_TBP.flatten(1)).view({values_.rank, batch, width});
    const Tensor by_head = matrix.view({heads_, values_.length, values_.rank}).narrow(1, 0, n);
    const Tensor x_HTX = x_TBP.reshape({n, batch, heads_, width / heads_}).permute({2, 0, 1, 3}).flatten(2);
    const Tensor low = at::bmm(by_head.transpose(1, 2), x_HTX);
    return low.view({heads_, values_.rank, batch, width / heads_}).permute({1, 2, 0, 3}).flatten(2);
}

Tensor LinformerBlock::attended(const ops::AttentionInput& in, const Tensor&, const State&, const Call&) const {
    const int64_t n = in.kv_TBX.size(0);
    check_length("linformer", n, values_.length);
    Tensor keys_values = in.kv_TBX.narrow(2, width_, 2 * width_);
    if (const Tensor& hidden = in.mask.hidden_BS; hidden.defined())
        keys_values = keys_values.masked_fill(hidden.t().ne(0).unsqueeze(2), 0);
    ops::AttentionInput low{.q_TBP = in.kv_TBX.narrow(2, 0, width_), .heads = heads_};
    low.memory_MBX = values_of_keys_ ? at::cat({projected(keys_values.narrow(2, 0, width_), keys_),
                                                projected(keys_values.narrow(2, width_, width_), values_of_keys_)},
                                               2)
                                     : projected(keys_values, keys_);
    low.kv_TBX = low.memory_MBX.narrow(0, 0, 0);
    low.mask.causal = false;
    return ops::attention(low);
}

double LinformerBlock::pairs(const CostShape& shape) const { return double(shape.length) * double(values_.rank); }

double LinformerBlock::flops_per_token(const CostShape& shape) const {
    return PatternedBlock::flops_per_token(shape) + 4 * double(values_.rank) * double(width_);
}

// x, queries, keys, values, these two as they are projected, what is mixed; a segment's projections; scores.
double LinformerBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double rank = double(values_.rank);
    const bool kept = ops::keeps_probabilities(shape.length, values_.rank, shape.element_size);
    return double(width_) * (7 + 2 * rank / double(shape.length)) + (kept ? double(heads_) * rank : 0);
}

}  // namespace lithe

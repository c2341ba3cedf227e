#include "lithe/blocks/sinkhorn.h"

#include <cmath>

namespace lithe {

SinkhornValues SinkhornValues::defaults(const ModelConfig& model) {
    SinkhornValues values;
    values.heads = model.heads;
    return values;
}

void SinkhornValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "block", .help = "positions in a block", .minimum = 1, .maximum = 1 << 20}, block);
    v.field({.name = "iterations", .help = "towards a doubly stochastic matrix", .minimum = 1, .maximum = 1000},
            iterations);
    v.field({.name = "temperature",
             .help = "of the shares of blocks: lower ones come nearer to a permutation",
             .minimum = 0.001,
             .maximum = 1000},
            temperature);
}

void SinkhornValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
}

Tensor sinkhorn(const Tensor& logits, int64_t iterations) {
    Tensor r = logits;
    for (int64_t i = 0; i < iterations; ++i) {
        r = r - at::logsumexp(r, {-1}, true);
        r = r - at::logsumexp(r, {-2}, true);
    }
    return r.exp();
}

// Of the positions of a block that are not hidden, [B][H][blocks][d / H].
static Tensor means(const Tensor& x, const Tensor& hidden) {
    Tensor sums = x.sum(1);  // hidden ones are zeros
    if (!hidden.defined()) return (sums / double(x.size(1))).permute({1, 2, 0, 3});
    const Tensor counts = hidden.eq(0).sum(1).clamp_min(1).to(sums.scalar_type());
    return (sums / counts.unsqueeze(2).unsqueeze(3)).permute({1, 2, 0, 3});
}

Tensor SinkhornBlock::logits(const Tensor& q, const Tensor& k, const Tensor& hidden) const {
    constexpr double kLeast = 1e-6;
    const auto sums = ops::compute_type(q.scalar_type());
    const Tensor products = at::matmul(means(q.to(sums), hidden), means(k.to(sums), hidden).transpose(2, 3));
    return (at::relu(products / std::sqrt(double(q.size(4)))) + kLeast).log() / values_.temperature;
}

namespace {

// [blocks][block][B][H][n] with blocks, rows and heads as rows, [block][blocks B H][n].
Tensor as_rows(const Tensor& x) { return x.transpose(0, 1).flatten(1, 3); }

// Blocks mixed by shares [B][H][blocks][blocks], of numbers [blocks][block][B][H][n].
Tensor sorted(const Tensor& x, const Tensor& shares) {
    const Tensor by_block = x.permute({2, 3, 0, 1, 4}).flatten(3);  // [B][H][blocks][block n]
    return at::matmul(shares.to(x.scalar_type()), by_block)
        .unflatten(3, {x.size(1), x.size(4)})
        .permute({2, 3, 0, 1, 4});
}

// Which mixed positions, and then which of their own, are hidden from whom: [blocks B H][2 block].
Tensor hidden_rows(const Tensor& hidden, const Tensor& shares) {
    const int64_t heads = shares.size(1), block = hidden.size(1);
    const Tensor by_head =
        hidden.unsqueeze(3).expand({-1, -1, -1, heads}).permute({0, 2, 3, 1});        // [blocks][B][H][block]
    const Tensor chosen = shares.detach().argmax(3).permute({2, 0, 1}).unsqueeze(3);  // [blocks][B][H][1]
    const Tensor mixed = by_head.gather(0, chosen.expand({-1, -1, -1, block}));
    return at::cat({mixed, by_head}, 3).flatten(0, 2).contiguous();
}

}  // namespace

Tensor SinkhornBlock::mixed(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& shares,
                            const Tensor& hidden) const {
    const Tensor keys_values = at::cat({k, v}, 4);
    ops::AttentionInput in{.q_TBP = as_rows(q),
                           .kv_TBX = as_rows(keys_values),
                           .memory_MBX = as_rows(sorted(keys_values, shares)),
                           .heads = 1};
    in.mask.causal = false;
    if (hidden.defined()) in.mask.hidden_BS = hidden_rows(hidden, shares);
    const Tensor out = ops::attention(in);  // [block][blocks B H][d / H]
    return out.unflatten(1, {q.size(0), q.size(2), q.size(3)}).transpose(0, 1).flatten(3).flatten(0, 1);
}

Tensor SinkhornBlock::attended(const ops::AttentionInput& in, const Tensor&, const State&, const Call&) const {
    const int64_t steps = in.kv_TBX.size(0), batch = in.kv_TBX.size(1), count = blocks(steps);
    const int64_t lacking = count * values_.block - steps;
    Tensor hidden_TB = in.mask.hidden_BS.defined() ? in.mask.hidden_BS.t() : Tensor();
    Tensor packed = in.kv_TBX;
    if (lacking > 0) {
        const auto marks = at::TensorOptions(at::kByte).device(packed.device());
        if (!hidden_TB.defined()) hidden_TB = at::zeros({steps, batch}, marks);
        hidden_TB = at::constant_pad_nd(hidden_TB, {0, 0, 0, lacking}, 1);
        packed = at::constant_pad_nd(packed, {0, 0, 0, 0, 0, lacking});
    }
    if (hidden_TB.defined()) packed = packed.masked_fill(hidden_TB.ne(0).unsqueeze(2), 0);
    const Tensor heads = packed.unflatten(2, {3, heads_, width_ / heads_}).unflatten(0, {count, values_.block});
    const Tensor q = heads.select(3, 0), k = heads.select(3, 1), v = heads.select(3, 2);
    const Tensor hidden = hidden_TB.defined() ? hidden_TB.unflatten(0, {count, values_.block}) : Tensor();
    const Tensor shares = sinkhorn(logits(q, k, hidden), values_.iterations);
    return mixed(q, k, v, shares, hidden).narrow(0, 0, steps);
}

double SinkhornBlock::pairs(const CostShape& shape) const {
    const auto block = double(values_.block);
    return double(blocks(shape.length)) * block * 2 * block;
}

// Blocks are compared, and their keys and values mixed.
double SinkhornBlock::flops_per_token(const CostShape& shape) const {
    const auto count = double(blocks(shape.length)), d = double(width_);
    const double sorting = 2 * count * count * d * (1 + 2 * double(values_.block));
    return PatternedBlock::flops_per_token(shape) + sorting / double(shape.length);
}

// x, queries, keys, values and what is mixed; these by rows; mixed keys and values; shares in every iteration, in fp32.
double SinkhornBlock::activation_numbers_per_token(const CostShape& shape) const {
    const auto count = double(blocks(shape.length)), copies = 4.0 / double(shape.element_size);
    const double shares = double(heads_) * count * count * (2 + 4 * double(values_.iterations)) * copies;
    const bool kept = ops::keeps_probabilities(values_.block, 2 * values_.block, shape.element_size);
    return 12 * double(width_) + shares / double(shape.length) +
           (kept ? 2 * double(heads_) * double(values_.block) : 0);
}

}  // namespace lithe

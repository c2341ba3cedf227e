#include "lithe/blocks/nystrom.h"

#include <cmath>

#include "lithe/ops/heads.h"

namespace lithe {
namespace {

// Means over pieces, of tokens that are no padding. `hidden_TB1` marks padding; undefined: there is none.
struct Pieces {
    int64_t size, count;
    Tensor kept_CB1;    // tokens of each piece that count; undefined: all do
    Tensor hidden_BC;   // uint8, pieces that have none; undefined: all have some
    Tensor hidden_TB1;  // of tokens

    // [count][size][B][X], zeros behind the last token.
    Tensor cut(const Tensor& x_TBX) const {
        const int64_t missing = size * count - x_TBX.size(0);
        const Tensor whole = missing > 0 ? at::constant_pad_nd(x_TBX, {0, 0, 0, 0, 0, missing}) : x_TBX;
        return whole.unflatten(0, {count, size});
    }
    Tensor means(const Tensor& x_TBX) const {
        return cut(hidden_TB1.defined() ? x_TBX.masked_fill(hidden_TB1, 0) : x_TBX).sum(1) / kept_CB1;
    }
    Pieces(int64_t size_, int64_t count_, const Tensor& x_TBX, const Tensor& hidden_BT) : size(size_), count(count_) {
        const at::NoGradGuard no_grad;
        Tensor counted_TB1 = at::ones({x_TBX.size(0), x_TBX.size(1), 1}, x_TBX.options().requires_grad(false));
        if (hidden_BT.defined()) {
            hidden_TB1 = hidden_BT.t().ne(0).unsqueeze(2);
            counted_TB1.masked_fill_(hidden_TB1, 0);
        }
        kept_CB1 = cut(counted_TB1).sum(1);
        if (!hidden_BT.defined()) return;
        hidden_BC = kept_CB1.squeeze(2).t().eq(0).to(at::kByte).contiguous();
        kept_CB1.clamp_min_(1);
    }
};

// Of queries over keys and values of other positions, all of them.
Tensor over_all(const Tensor& q_TBP, const Tensor& keys_values, const Tensor& hidden_BS, int64_t heads) {
    ops::AttentionInput in{.q_TBP = q_TBP, .kv_TBX = keys_values.narrow(0, 0, 0), .heads = heads};
    in.memory_MBX = keys_values;
    in.mask.causal = false;
    in.mask.hidden_BS = hidden_BS;
    return ops::attention(in);
}

}  // namespace

NystromValues NystromValues::defaults(const ModelConfig& model) {
    NystromValues values;
    values.heads = model.heads;
    return values;
}

void NystromValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "landmarks", .help = "pieces that a segment is cut into, at most", .minimum = 1, .maximum = 4096},
            landmarks);
    v.field({.name = "iterations", .help = "of the inverse", .minimum = 1, .maximum = 100}, iterations);
    v.field({.name = "taps",
             .help = "of the convolution of values, an odd number; 0: there is none",
             .minimum = 0,
             .maximum = 4095},
            taps);
}

void NystromValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
    if (taps > 0 && taps % 2 == 0)
        problems.add(where + ": taps " + std::to_string(taps) + " have no middle: an odd number goes", "",
                     "taps = " + std::to_string(taps - 1));
}

NystromBlock::NystromBlock(const NystromValues& values, const BlockSite& site)
    : PatternedBlock(values, site),
      values_(values) {
    if (values.taps > 0)
        convolution_ = site.store.add({site.name + ".convolution",
                                       {heads_, values.taps},
                                       Role::vector,
                                       Init::uniform(1 / std::sqrt(double(values.taps)))});
}

BranchOutput NystromBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    // texts of their own lengths, and what is evaluated, may be shorter
    if (call.pass.training && !call.pass.marks && x_TBD.size(0) < values_.landmarks)
        fail_usage(std::to_string(values_.landmarks) + " landmarks are more than the " + std::to_string(x_TBD.size(0)) +
                       " tokens of a segment",
                   "blocks.nystrom.landmarks", "landmarks = " + std::to_string(x_TBD.size(0)) + " at most");
    return PatternedBlock::branch(x_TBD, state, call);
}

Tensor NystromBlock::inverse(const Tensor& a) const {
    constexpr double kLeast = 1e-30;  // where all is padding
    const Tensor identity = at::eye(a.size(1), a.options().requires_grad(false));
    Tensor z = a.transpose(1, 2) / a.sum(1, true).amax(2, true).clamp_min(kLeast);
    for (int64_t i = 0; i < values_.iterations; ++i) {
        const Tensor az = at::bmm(a, z);
        const Tensor inner = 15 * identity - at::bmm(az, 7 * identity - az);
        z = at::bmm(z, 13 * identity - at::bmm(az, inner)) * 0.25;
    }
    return z;
}

Tensor NystromBlock::convolved(const Tensor& v_TBP) const {
    const Tensor v_BHTV = v_TBP.unflatten(2, {heads_, width_ / heads_}).permute({1, 2, 0, 3});
    const Tensor kernel = convolution_.tensor().to(v_TBP.scalar_type()).view({heads_, 1, values_.taps, 1});
    const Tensor y_BHTV = at::conv2d(v_BHTV, kernel, {}, 1, {values_.taps / 2, 0}, 1, heads_);
    return y_BHTV.permute({2, 0, 1, 3}).flatten(2);
}

Tensor NystromBlock::attended(const ops::AttentionInput& in, const Tensor& x_TBD, const State&, const Call&) const {
    const int64_t n = in.kv_TBX.size(0);
    const Tensor all = in.kv_TBX.to(ops::compute_type(in.kv_TBX.scalar_type()));
    const Tensor q = all.narrow(2, 0, width_), v = all.narrow(2, 2 * width_, width_);
    const Pieces pieces(piece(n), landmarks(n), all, in.mask.hidden_BS);
    const Tensor means = pieces.means(all.narrow(2, 0, 2 * width_));
    const Tensor q_marks = means.narrow(2, 0, width_), k_marks = means.narrow(2, width_, width_);
    const double scale = 1 / std::sqrt(double(width_) / double(heads_));
    Tensor scores =
        at::bmm(ops::heads_first(q_marks, heads_), ops::heads_first(k_marks, heads_).transpose(1, 2)) * scale;
    Tensor hidden;  // [B H][1][m]
    if (pieces.hidden_BC.defined()) {
        hidden = pieces.hidden_BC.ne(0).repeat_interleave(heads_, 0).unsqueeze(1);
        scores = scores.masked_fill(hidden, -1e30);
    }
    Tensor a = at::softmax(scores, 2);
    if (hidden.defined()) a = a.masked_fill(hidden.logical_or(hidden.transpose(1, 2)), 0);  // Z is 0 there, too
    const Tensor read = over_all(q_marks, all.narrow(2, width_, 2 * width_), in.mask.hidden_BS, heads_);
    const Tensor solved = ops::heads_last(at::bmm(inverse(a), ops::heads_first(read, heads_)), heads_);
    Tensor mixed = over_all(q, at::cat({k_marks, solved}, 2), pieces.hidden_BC, heads_);
    if (convolution_) mixed = mixed + convolved(pieces.hidden_TB1.defined() ? v.masked_fill(pieces.hidden_TB1, 0) : v);
    return mixed.to(x_TBD.scalar_type());
}

double NystromBlock::pairs(const CostShape& shape) const {
    const auto m = double(landmarks(shape.length));
    return 2 * double(shape.length) * m + m * m;  // the last has a score and the product with Z for a value
}

double NystromBlock::flops_per_token(const CostShape& shape) const {
    const auto m = double(landmarks(shape.length));
    const double products = 4 * double(values_.iterations) * double(heads_) * 2 * m * m * m;
    return PatternedBlock::flops_per_token(shape) + products / double(shape.length);
}

// x, queries, keys, values, what is mixed, all in fp32; what the convolution takes and adds; per segment landmarks and
// the inverse's steps; probabilities of both attentions, where they are kept.
double NystromBlock::activation_numbers_per_token(const CostShape& shape) const {
    const auto d = double(width_), n = double(shape.length), m = double(landmarks(shape.length)), h = double(heads_);
    const double copies = 4.0 / double(shape.element_size);  // fp32 numbers in those of the storage
    const double wide = copies < 2 ? 5 : 5 + 4 * copies;
    const auto marks = int64_t(m);
    const bool kept = ops::keeps_probabilities(shape.length, marks, 4),
               kept_marks = ops::keeps_probabilities(marks, shape.length, 4);
    const double scores = copies * h * ((kept ? m : 0) + (kept_marks ? m : 0));
    const double inverse = copies * h * m * m * (4 + 6 * double(values_.iterations)) / n;
    return d * (wide + (convolution_ ? 2 * copies : 0) + copies * 6 * m / n) + scores + inverse;
}

}  // namespace lithe

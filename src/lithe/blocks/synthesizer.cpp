#include "lithe/blocks/synthesizer.h"

#include <cmath>

#include "lithe/blocks/fixed_length.h"
#include "lithe/blocks/look.h"
#include "lithe/ops/heads.h"

namespace lithe {

SynthesizerValues SynthesizerValues::defaults(const ModelConfig& model) {
    SynthesizerValues values;
    values.heads = model.heads;
    return values;
}

void SynthesizerValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "length", .help = "positions that a segment has at most", .minimum = 1, .maximum = 1 << 16},
            length);
    v.field({.name = "dense", .help = "logits that each token makes of itself"}, dense);
    v.field({.name = "random", .help = "logits that are parameters"}, random);
    v.field({.name = "factorised_dense", .help = "logits that are products of two shorter rows of each token"},
            factorised_dense);
    v.field({.name = "factorised_random", .help = "logits that are products of two narrow parameters"},
            factorised_random);
    v.field({.name = "attention", .help = "products of queries and keys among the logits"}, attention);
    v.field({.name = "factor",
             .help = "length of the first row of factorised_dense, which divides length; 0: near its root",
             .minimum = 0,
             .maximum = 1 << 16},
            factor);
    v.field({.name = "rank", .help = "columns of factorised_random's parameters", .minimum = 1, .maximum = 1 << 16},
            rank);
}

void SynthesizerValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
    if (parts() == 0)
        problems.add(where +
                         ": dense, random, factorised_dense, factorised_random and attention are all false, and "
                         "one has to make logits",
                     "", "dense = true");
    if (factor > 0 && length % factor)
        problems.add(where + ": factor " + std::to_string(factor) + " does not divide length " + std::to_string(length),
                     "", "factor = 0 takes the divisor nearest to the root");
}

int64_t SynthesizerValues::first_factor() const {
    if (factor > 0) return factor;
    int64_t a = int64_t(std::sqrt(double(length)));
    while (length % a) --a;
    return a;
}

SynthesizerBlock::SynthesizerBlock(const SynthesizerValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      heads_(values.heads),
      value_(site, "value", {1, width_, width_}, values.bias, values.matrix_init(width_)),
      out_(site, "out", {1, width_, width_}, values.bias, values.matrix_init(width_)) {
    const int64_t n = values.length, size = width_ / heads_, a = values.first_factor(), b = n / a;
    const auto by_head = [&](const char* name, int64_t columns) {
        return site.store.add(
            {site.name + "." + name, {heads_ * n, columns}, Role::matrix, Init::xavier(n, columns), heads_});
    };
    if (values.dense) {
        dense_in_ = {site, "dense_in", {1, width_, width_}, values.bias, values.matrix_init(width_)};
        dense_out_ = by_head("dense_out", size);
        if (values.bias)
            dense_out_bias_ =
                site.store.add({site.name + ".dense_out_bias", {heads_ * n}, Role::bias, Init::constant(0)});
    }
    if (values.random) random_ = by_head("random", n);
    if (values.factorised_dense)
        factors_ = {site, "factors", {1, heads_ * (a + b), width_}, values.bias, Init::xavier(width_, a + b)};
    if (values.factorised_random) {
        rows_ = by_head("rows", values.rank);
        columns_ = by_head("columns", values.rank);
    }
    if (values.attention)
        query_key_ = {site, "query_key", {2, width_, width_}, values.bias, values.matrix_init(width_)};
    if (values.parts() > 1)
        mixture_ = site.store.add({site.name + ".mixture", {values.parts()}, Role::vector, Init::constant(0)});
}

Tensor SynthesizerBlock::dense(const Tensor& x_TBD) const {
    const int64_t n = x_TBD.size(0), batch = x_TBD.size(1), size = width_ / heads_;
    const Tensor hidden = at::relu(dense_in_(x_TBD)).view({n * batch, heads_, size}).transpose(0, 1);
    const Tensor w = dense_out_.tensor().view({heads_, values_.length, size}).narrow(1, 0, n);
    Tensor made = at::bmm(hidden, w.transpose(1, 2));
    if (dense_out_bias_) {
        const Tensor bias = dense_out_bias_.tensor().view({heads_, 1, values_.length}).narrow(2, 0, n);
        made = made + bias.to(made.scalar_type());
    }
    return made.view({heads_, n, batch, n}).permute({2, 0, 1, 3});
}

Tensor SynthesizerBlock::random(int64_t n) const {
    const Tensor all = random_.tensor().view({1, heads_, values_.length, values_.length});
    return all.narrow(2, 0, n).narrow(3, 0, n).clone();  // softmax overwrites
}

Tensor SynthesizerBlock::factorised_dense(const Tensor& x_TBD) const {
    const int64_t n = x_TBD.size(0), a = values_.first_factor(), b = values_.length / a;
    const Tensor both = factors_(x_TBD);
    const Tensor first = both.narrow(2, 0, heads_ * a).unflatten(2, {heads_, 1, a});
    const Tensor second = both.narrow(2, heads_ * a, heads_ * b).unflatten(2, {heads_, b, 1});
    return (second * first).flatten(3).narrow(3, 0, n).permute({1, 2, 0, 3});
}

Tensor SynthesizerBlock::factorised_random(int64_t n) const {
    const auto first = [&](const Parameter& all) {
        return all.tensor().view({heads_, values_.length, values_.rank}).narrow(1, 0, n);
    };
    return at::bmm(first(rows_), first(columns_).transpose(1, 2)).unsqueeze(0);
}

Tensor SynthesizerBlock::attention(const Tensor& x_TBD) const {
    const auto parts = query_key_(x_TBD).split(width_, 2);
    const Tensor q = ops::heads_first(parts[0], heads_), k = ops::heads_first(parts[1], heads_);
    const double scale = 1 / std::sqrt(double(width_) / double(heads_));
    return (at::bmm(q, k.transpose(1, 2)) * scale).unflatten(0, {x_TBD.size(1), heads_});
}

// [B H][T][T], in memory of their own.
Tensor SynthesizerBlock::logits(const Tensor& x_TBD) const {
    const int64_t n = x_TBD.size(0), batch = x_TBD.size(1);
    std::vector<Tensor> made;
    if (values_.dense) made.push_back(dense(x_TBD));
    if (values_.random) made.push_back(random(n));
    if (values_.factorised_dense) made.push_back(factorised_dense(x_TBD));
    if (values_.factorised_random) made.push_back(factorised_random(n));
    if (values_.attention) made.push_back(attention(x_TBD));
    Tensor sum = made[0];
    if (mixture_) {
        const Tensor shares = at::softmax(mixture_.tensor(), 0).to(x_TBD.scalar_type());
        sum = made[0] * shares[0];
        for (size_t i = 1; i < made.size(); ++i) sum = sum + made[i] * shares[int64_t(i)];
    }
    return sum.expand({batch, heads_, n, n}).reshape({batch * heads_, n, n}).contiguous();
}

BranchOutput SynthesizerBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const int64_t n = x_TBD.size(0);
    check_length("synthesizer", n, values_.length);
    const ops::AttentionMask mask = make_mask(state, 0, n, x_TBD.size(1), call.pass).mask;
    const Tensor weights = ops::masked_softmax_(logits(x_TBD), mask, heads_, 1);
    BranchOutput out;
    const Tensor values = value_(x_TBD);
    const Tensor mixed = ops::heads_last(at::bmm(weights, ops::heads_first(values, heads_)), heads_);
    show(call, {values, 0, mixed, heads_});
    out.delta_TBD = out_(mixed);
    return out;
}

double SynthesizerBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_), n = double(shape.length), h = double(heads_), a = double(values_.first_factor());
    double flops = 4 * d * d + 2 * n * d;
    if (values_.dense) flops += 2 * d * d + 2 * n * d;
    if (values_.factorised_dense) flops += 2 * d * h * (a + double(values_.length) / a);
    if (values_.factorised_random) flops += 2 * h * n * double(values_.rank) / double(shape.batch);
    if (values_.attention) flops += 4 * d * d + 2 * n * d;
    return flops;
}

// x, values, what is mixed; what makes logits; these, each kind's where there are several, and the weights.
double SynthesizerBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double d = double(width_), n = double(shape.length), h = double(heads_), a = double(values_.first_factor());
    const double own = double(values_.dense) + double(values_.factorised_dense) + double(values_.attention);
    const double shared = (double(values_.parts()) - own) / double(shape.batch);
    double numbers = 3 * d + h * n * (1 + (mixture_ ? own + shared : 0));
    if (values_.dense) numbers += 2 * d;
    if (values_.factorised_dense) numbers += h * (a + double(values_.length) / a);
    if (values_.attention) numbers += 2 * d;
    return numbers;
}

}  // namespace lithe

#include "lithe/blocks/lsh.h"

#include <cmath>

#include "lithe/blocks/look.h"
#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/normal_draws.h"

namespace lithe {
namespace {

constexpr int64_t kManyBuckets = 128;  // beyond, a bucket is a pair of smaller ones, so that hashing stays cheap
constexpr double kItself = -5e4;       // a score that counts where there is no other
constexpr double kUnseen = -1e9;

int64_t even(double number) { return 2 * int64_t(std::ceil(number / 2)); }

// Sizes whose product is at least so many buckets.
std::vector<int64_t> factors(int64_t buckets) {
    if (buckets <= kManyBuckets) return {buckets};
    const int64_t first = even(std::sqrt(double(buckets)));
    return {first, even(double(buckets) / double(first))};
}

int64_t columns_of(const std::vector<int64_t>& factors) {
    int64_t columns = 0;
    for (const int64_t each : factors) columns += each / 2;
    return columns;
}

// [B H][n][d / H] of numbers [T][B][d], zeros behind them.
Tensor by_head(const Tensor& x_TBD, int64_t heads, int64_t positions) {
    const Tensor first = x_TBD.unflatten(2, {heads, x_TBD.size(2) / heads}).permute({1, 2, 0, 3}).flatten(0, 1);
    return at::constant_pad_nd(first, {0, 0, 0, positions - x_TBD.size(0)});
}

// Rows of [N][S][...] by [N][K] of their numbers, [N][K][...].
Tensor taken(const Tensor& x, const Tensor& rows) {
    const Tensor begins = at::arange(x.size(0), rows.options()).unsqueeze(1) * x.size(1);
    const Tensor found = x.flatten(0, 1).index_select(0, (rows + begins).flatten());
    return found.unflatten(0, {rows.size(0), rows.size(1)});
}

// Chunks [N][chunks][chunk][...] with the one before each behind it, [N][chunks][2 chunk][...].
Tensor with_before(const Tensor& x) { return at::cat({x, x.roll(1, 1)}, 2); }

}  // namespace

LshValues LshValues::defaults(const ModelConfig& model) {
    LshValues values;
    values.heads = model.heads;
    return values;
}

void LshValues::visit(FieldVisitor& v) {
    visit_shared(v);
    v.field({.name = "rounds", .help = "hashes of each position", .minimum = 1, .maximum = 1024}, rounds);
    v.field({.name = "chunk", .help = "positions in a chunk", .minimum = 1, .maximum = 1 << 20}, chunk);
    v.field({.name = "buckets",
             .help = "that a hash tells apart, an even number; 0: one for each chunk",
             .minimum = 0,
             .maximum = 1 << 20},
            buckets);
    v.field({.name = "scaled", .help = "scores are divided by the root of a head's width, though keys have length 1"},
            scaled);
    v.field({.name = "allow_leak",
             .help = "stand in a decoder, too, where later tokens move the borders of earlier ones' chunks"},
            allow_leak);
    v.field({.name = "seed", .help = "of the rotations", .minimum = 0, .maximum = 1 << 30}, seed);
}

void LshValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_shared(model, where, problems);
    if (buckets % 2)
        problems.add(where + ": buckets " + std::to_string(buckets) +
                         " are no even number: each has another for the opposite direction",
                     "", "buckets = " + std::to_string(buckets + 1));
    if (model.direction == Direction::causal && !allow_leak)
        problems.add(where +
                         ": positions are sorted by their hashes, so that later tokens move the borders of earlier "
                         "ones' chunks: a causal model would see ahead",
                     "", "it stands in encoders; allow_leak = true takes that");
}

LshBlock::LshBlock(const LshValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      key_(combine_key(uint64_t(values.seed), site.name)),
      query_value_(site, "query_value", {2, width_, width_}, values.bias, values.matrix_init(width_)),
      out_(site, "out", {1, width_, width_}, values.bias, values.matrix_init(width_)) {}

int64_t LshBlock::buckets(int64_t positions) const {
    return values_.buckets > 0 ? values_.buckets : even(double(chunks(positions)));
}

Tensor LshBlock::rotations(int64_t positions) const {
    const int64_t columns = columns_of(factors(buckets(positions))), size = width_ / values_.heads;
    return normal_draws(values_.rounds * size, columns, key_).view({values_.rounds, size, columns});
}

// The places of positions behind one another in the order of their buckets, [B H][rounds][n]; hidden ones stand last.
static Tensor sorted_places(const Tensor& q_NSZ, const Tensor& hidden_NS, const Tensor& rotations,
                            const std::vector<int64_t>& factors) {
    const at::NoGradGuard no_grad;
    const int64_t rows = q_NSZ.size(0), positions = q_NSZ.size(1);
    const Tensor q = q_NSZ.detach().flatten(0, 1), places = at::arange(positions, q.options().dtype(at::kLong));
    std::vector<Tensor> orders;
    for (int64_t t = 0; t < rotations.size(0); ++t) {
        const Tensor turned = at::mm(q, rotations[t]);
        Tensor bucket;
        int64_t all = 1, first = 0;
        for (const int64_t size : factors) {
            const Tensor own = turned.narrow(1, first, size / 2);
            const Tensor found = at::cat({own, own.neg()}, 1).argmax(1) * all;
            bucket = bucket.defined() ? bucket + found : found;
            all *= size;
            first += size / 2;
        }
        bucket = bucket.view({rows, positions});
        if (hidden_NS.defined()) bucket = bucket.masked_fill(hidden_NS, all);
        orders.push_back((bucket * positions + places).argsort(int64_t(1)));
    }
    return at::stack(orders, 1);
}

Tensor LshBlock::attended(const Tensor& q_TBD, const Tensor& v_TBD, const Tensor& rotations, const Pass& pass) const {
    const int64_t steps = q_TBD.size(0), batch = q_TBD.size(1), heads = values_.heads, size = width_ / heads;
    const int64_t positions = chunks(steps) * values_.chunk, rounds = values_.rounds;
    const auto compute = ops::compute_type(q_TBD.scalar_type());
    const auto by_row = [&](const Tensor& of_BS) { return of_BS.repeat_interleave(heads, 0); };
    const Tensor q = by_head(q_TBD, heads, positions), v = by_head(v_TBD, heads, positions);
    Tensor hidden, first;  // [B H][n]
    if (pass.marks) {
        hidden = by_row(at::constant_pad_nd(pass.marks->padding_BT, {0, positions - steps}, 1)).ne(0);
        first = by_row(at::constant_pad_nd(pass.marks->begin_BT, {0, positions - steps}));
    } else if (positions > steps) {
        hidden = at::arange(positions, q.options().dtype(at::kLong)).ge(steps).expand({batch * heads, positions});
    }
    const Tensor order =
        sorted_places(q.to(compute), hidden, rotations.to(q.device(), compute), factors(buckets(steps)));
    const Tensor places = order.flatten(1);  // [B H][rounds n]
    const auto cut = [&](const Tensor& x) { return x.unflatten(1, {rounds * chunks(steps), values_.chunk}); };
    const Tensor queries = cut(taken(q, places)), own = cut(places), seen = with_before(own);
    const Tensor long_queries = queries.to(compute);
    const Tensor keys = (long_queries / long_queries.norm(2, {3}, true).clamp_min(1e-12)).to(q.scalar_type());
    Tensor scores = at::matmul(queries, with_before(keys).transpose(2, 3)).to(compute);
    if (values_.scaled) scores = scores / std::sqrt(double(size));
    scores = scores.masked_fill(own.unsqueeze(3).eq(seen.unsqueeze(2)), kItself);
    if (pass.causal) {
        Tensor unseen = seen.unsqueeze(2).gt(own.unsqueeze(3));
        if (first.defined()) unseen = unseen.logical_or(seen.unsqueeze(2).lt(cut(taken(first, places)).unsqueeze(3)));
        scores = scores.masked_fill(unseen, kUnseen);
    }
    if (hidden.defined()) scores = scores.masked_fill(with_before(cut(taken(hidden, places))).unsqueeze(2), kUnseen);
    const Tensor lse = at::logsumexp(scores, {3}, true);
    const Tensor found = at::matmul((scores - lse).exp().to(q.scalar_type()), with_before(cut(taken(v, places))));
    // back to where they were, and the rounds joined
    const Tensor back = order.argsort(int64_t(2)) + (at::arange(rounds, order.options()) * positions).unsqueeze(1);
    const auto home = [&](const Tensor& x) {
        return taken(x.flatten(1, 2), back.flatten(1)).unflatten(1, {rounds, positions});
    };
    const Tensor shares = at::softmax(home(lse), 1);
    const Tensor mixed = (home(found) * shares.to(q.scalar_type())).sum(1).narrow(1, 0, steps);
    return mixed.unflatten(0, {batch, heads}).permute({2, 0, 1, 3}).flatten(2);
}

BranchOutput LshBlock::branch(const Tensor& x_TBD, const State&, const Call& call) const {
    const Tensor packed = query_value_(x_TBD);
    BranchOutput out;
    const Tensor mixed =
        attended(packed.narrow(2, 0, width_), packed.narrow(2, width_, width_), rotations(x_TBD.size(0)), call.pass);
    show(call, {packed, width_, mixed, values_.heads});
    out.delta_TBD = out_(mixed);
    return out;
}

// Three products of the width squared, hashes, and two products with two chunks of keys in every round.
double LshBlock::flops_per_token(const CostShape& shape) const {
    const auto d = double(width_), rounds = double(values_.rounds), chunk = double(values_.chunk);
    const double filled = double(chunks(shape.length)) * chunk / double(shape.length);
    const auto columns = double(columns_of(factors(buckets(shape.length))));
    return 6 * d * d + filled * rounds * (2 * columns * d + 8 * chunk * d);
}

// x, queries, values, what is mixed; in every round sorted queries, keys, values with those before, what is found and
// sorted back; scores and probabilities, in the type of sums.
double LshBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double filled = double(chunks(shape.length) * values_.chunk) / double(shape.length);
    const double scores = 6 * double(values_.heads) * double(values_.chunk) * 4 / double(shape.element_size);
    return 6 * double(width_) + filled * double(values_.rounds) * (12 * double(width_) + scores);
}

}  // namespace lithe

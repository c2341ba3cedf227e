#include "lithe/blocks/performer.h"

#include <cmath>
#include <numeric>

#include "lithe/base/position_flags.h"
#include "lithe/blocks/feature_attention.h"
#include "lithe/blocks/look.h"
#include "lithe/blocks/normal_draws.h"

namespace lithe {
namespace {

constexpr double kFloor = -1e4;      // an exponent that no key has
constexpr double kReluShift = 1e-3;  // of the released codes
constexpr double kLeastSum = 1e-30;  // where all is padding

Tensor padding_TB(const Pass& pass) { return pass.marks->padding_BT.transpose(0, 1).ne(0); }

// The largest so far of [T][B][H], anew with a document. Of fp64, in which numbers of documents leave room for these.
Tensor largest_so_far(const Tensor& top_TBH, const Tensor& before_BH, const Pass& pass) {
    constexpr double kApart = -4 * kFloor;
    Tensor top = top_TBH.to(at::kDouble).clamp(kFloor, -kFloor);
    Tensor documents;
    if (pass.marks) {
        documents = pass.flags_TB().bitwise_and(int64_t(kDocumentBegins)).ne(0).to(at::kDouble).cumsum(0);
        documents = (documents * kApart).unsqueeze(2);
        top = top + documents;
    }
    top = std::get<0>(top.cummax(0));
    if (before_BH.defined()) top = at::maximum(top, before_BH.to(at::kDouble));
    return (documents.defined() ? top - documents : top).to(top_TBH.scalar_type());
}

}  // namespace

// Blocks of `columns` rows, orthogonal and of length 1 by Gram and Schmidt, which leaves all directions as likely.
Tensor orthogonal_directions(int64_t rows, int64_t columns, uint64_t key) {
    const at::NoGradGuard no_grad;
    const Tensor drawn = normal_draws(rows, columns, combine_key(key, "directions"));
    for (int64_t i = 0; i < rows; ++i) {
        double* row = drawn.data_ptr<double>() + i * columns;
        for (int again = 0; again < 2; ++again)  // once leaves rounding errors that grow with the block
            for (const double* other = row - i % columns * columns; other < row; other += columns) {
                const double along = std::inner_product(row, row + columns, other, 0.0);
                for (int64_t n = 0; n < columns; ++n) row[n] -= along * other[n];
            }
        const double length = std::sqrt(std::inner_product(row, row + columns, row, 0.0));
        for (int64_t n = 0; n < columns; ++n) row[n] /= length;
    }
    return drawn * normal_draws(rows, columns, combine_key(key, "lengths")).norm(2, {1}, true);
}

PerformerValues PerformerValues::defaults(const ModelConfig& model) {
    PerformerValues values;
    values.heads = model.heads;
    return values;
}

void PerformerValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the four products"}, bias);
    v.field({.name = "kernel", .help = "that products of features estimate: softmax's, or that of ReLU"}, kernel);
    v.field({.name = "features",
             .help = "of a head's queries and keys, random directions; 0: ReLU of their own numbers",
             .minimum = 0,
             .maximum = 1 << 16},
            features);
    v.field({.name = "redraw",
             .help = "updates after which training draws other directions; 0: never, it has evaluation's",
             .minimum = 0,
             .maximum = 1e12},
            redraw);
    v.field({.name = "seed", .help = "of the directions", .minimum = 0, .maximum = 1 << 30}, seed);
    v.field({.name = "epsilon", .help = "that is added to softmax's features", .minimum = 0, .maximum = 1}, epsilon);
}

void PerformerValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_heads(where, "width", model.width, heads, problems);
    const bool softmax = kernel == PerformerKernel::softmax;
    if (softmax && features == 0)
        problems.add(where + ": softmax's kernel needs features, and there are 0", "",
                     "features = 256, or kernel = \"relu\"");
    if (features == 0 && redraw > 0)
        problems.add(where + ": without features there is nothing to draw", "", "redraw = 0");
    if (epsilon > 0 && !softmax)
        problems.add(where + ": epsilon belongs to softmax's features, and the kernel is relu", "", "epsilon = 0");
    else if (epsilon > 0 && model.direction == Direction::causal)
        problems.add(where + ": epsilon is a share of the segment's largest key, which a causal model does not know",
                     "", "epsilon = 0");
}

PerformerBlock::PerformerBlock(const PerformerValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      cell_{.heads = values.heads,
            .key = values.features > 0 ? values.features : width_ / values.heads,
            .value = width_ / values.heads + 1,
            .is_mixture = false},
      key_(combine_key(uint64_t(values.seed), site.name)),
      qkv_(site, "qkv", {3, width_, width_}, values.bias, Init::xavier(width_, width_)),
      out_(site, "out", {1, width_, width_}, values.bias, Init::xavier(width_, width_)) {}

Tensor PerformerBlock::directions(int64_t draw) const {
    if (values_.features == 0) return {};
    const std::lock_guard lock(mutex_);
    if (!drawn_ || drawn_->number != draw) {
        const uint64_t key = combine_key(key_, uint64_t(draw));
        drawn_ =
            std::make_shared<Drawn>(Drawn{draw, orthogonal_directions(values_.features, width_ / values_.heads, key)});
    }
    return drawn_->directions;
}

PerformerBlock::Softmax PerformerBlock::softmax(const Tensor& x_TBHN, const Tensor& directions) const {
    const Tensor x = x_TBHN * std::pow(double(x_TBHN.size(3)), -0.25);
    const Tensor along = at::matmul(x, directions.to(x.options().requires_grad(false)).t());
    const Tensor exponents = along - (x * x).sum(3, true) / 2;
    return {exponents, (values_.epsilon > 0 ? along : exponents).detach()};
}

Tensor PerformerBlock::relu(const Tensor& x_TBHN, const Tensor& directions) const {
    if (!directions.defined()) return at::relu(x_TBHN) + kReluShift;
    const Tensor x = x_TBHN * std::pow(double(x_TBHN.size(3)), -0.25);
    return at::relu(at::matmul(x, directions.to(x.options().requires_grad(false)).t())) + kReluShift;
}

void PerformerBlock::put_softmax(ops::MatrixStateInput& in, const Softmax& q, const Softmax& k, const State& before,
                                 const Pass& pass, State& after) const {
    const auto type = in.v_TBHV.scalar_type();
    Tensor exponents = k.exponents_TBHK, largest = k.bounds_TBHK.amax(3);  // [T][B][H]
    if (pass.marks) {
        const Tensor padding = padding_TB(pass).unsqueeze(2);
        exponents = exponents.masked_fill(padding.unsqueeze(3), kFloor);
        largest = largest.masked_fill(padding, kFloor);
    }
    if (!pass.causal) {
        largest = largest.amax(0, true);
    } else {
        const Tensor carried = before.get("largest");
        largest = largest_so_far(largest, carried.defined() ? carried.detach() : carried, pass);
        const Tensor first = carried.defined() ? carried : at::full_like(largest[0], kFloor);
        const Tensor earlier = at::cat({first.unsqueeze(0), largest.narrow(0, 0, largest.size(0) - 1)});
        in.g_TBX = (earlier - largest).clamp_max(0);  // above 0 where a document begins, and what was is forgotten
        after.put("largest", largest.select(0, largest.size(0) - 1), 0);
    }
    in.q_TBHK = ((q.exponents_TBHK - q.bounds_TBHK.amax(3, true)).exp() + values_.epsilon).to(type);
    in.k_TBHK = ((exponents - largest.unsqueeze(3)).exp() + values_.epsilon).to(type);
}

// Sums by other directions are none.
State PerformerBlock::without_other_draws(const State& before, int64_t draw, const Tensor& like, State& after) const {
    const at::TensorOptions numbers = at::TensorOptions(at::kLong).device(like.device());
    after.put("draw", at::full({like.size(1)}, draw, numbers), 0);
    const Tensor of_B = before.get("draw");
    if (!of_B.defined()) return before;
    State kept;
    const Tensor same_B = of_B.eq(draw);
    for (const auto& [name, lost] : {std::pair{"state", 0.0}, std::pair{"largest", kFloor}})
        if (const Tensor value = before.get(name); value.defined()) {
            std::vector<int64_t> sizes(size_t(value.dim()), 1);
            sizes[0] = same_B.size(0);
            kept.put(name, value.masked_fill(same_B.logical_not().view(sizes), lost), 0);
        }
    return kept;
}

Tensor PerformerBlock::mixed(const Tensor& qkv_TBX, const Tensor& directions, const State& state, const Call& call,
                             State& after) const {
    const int64_t size = cell_.value - 1;
    const auto type = qkv_TBX.scalar_type(), compute = ops::compute_type(type);
    const auto parts = qkv_TBX.split(width_, 2);
    const auto heads = [&](const Tensor& x) { return x.unflatten(2, {cell_.heads, size}); };
    ops::MatrixStateInput in{.v_TBHV = with_ones(heads(parts[2]))};
    const Tensor q = heads(parts[0]).to(compute), k = heads(parts[1]).to(compute);
    if (values_.kernel == PerformerKernel::softmax) {
        put_softmax(in, softmax(q, directions), softmax(k, directions), state, call.pass, after);
    } else {
        in.q_TBHK = relu(q, directions).to(type);
        in.k_TBHK = relu(k, directions).to(type);
    }
    const Tensor sums = call.pass.causal ? cell_.run(in, state, call, after).unflatten(2, {cell_.heads, cell_.value})
                                         : sums_over_all(in.q_TBHK, in.k_TBHK, in.v_TBHV, call.pass);
    const Tensor mixed = (sums.narrow(3, 0, size) / sums.narrow(3, size, 1).clamp_min(kLeastSum)).flatten(2);
    show(call, {parts[2], 0, mixed, cell_.heads});
    return mixed;
}

BranchOutput PerformerBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const int64_t draw = call.pass.training && values_.redraw > 0 ? call.pass.keys.updates / values_.redraw : 0;
    const bool draws = call.pass.causal && values_.redraw > 0;
    const State before = draws ? without_other_draws(state, draw, x_TBD, out.state) : state;
    out.delta_TBD = out_(mixed(qkv_(x_TBD), directions(draw), before, call, out.state));
    return out;
}

namespace {

struct StepHeads {
    int64_t heads, size, features;
    float* left;     // decays of the state
    float* largest;  // carried: of each head's keys, and whether there were some
};

// Exponents of queries and keys become features, a row's.
void exponentiate(const StepHeads& of, int64_t row, float* q, float* k) {
    for (int64_t h = 0; h < of.heads; ++h, q += of.features, k += of.features) {
        float* carried = of.largest + row * 2 * of.heads + 2 * h;
        const float own = *std::max_element(q, q + of.features), top = *std::max_element(k, k + of.features);
        const float largest = carried[1] > 0 ? std::max(carried[0], top) : top;
        of.left[row * of.heads + h] = carried[1] > 0 ? std::exp(carried[0] - largest) : 0;
        carried[0] = largest;
        carried[1] = 1;
        for (int64_t i = 0; i < of.features; ++i) {
            q[i] = std::exp(q[i] - own);
            k[i] = std::exp(k[i] - largest);
        }
    }
}

// One feature of a head's numbers, or its exponent; w: the feature's direction.
float step_feature(const float* x, const float* w, int64_t size, PerformerKernel kernel) {
    const float scale = std::pow(float(size), -0.25f);
    float along = 0, squares = 0;
    for (int64_t i = 0; i < size; ++i) {
        along += w[i] * x[i];
        squares += x[i] * x[i];
    }
    if (kernel == PerformerKernel::relu) return std::max(0.0f, along * scale) + float(kReluShift);
    return along * scale - squares * scale * scale / 2;
}

}  // namespace

StepOutput PerformerBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t d = width_, size = cell_.value - 1, keys = cell_.keys(), sums = cell_.values();
    float *qkv = program.vector(3 * d), *q = program.vector(keys), *k = program.vector(keys), *v = program.vector(sums),
          *mixed = program.vector(d), *delta = program.vector(d);
    const StepHeads of{cell_.heads, size, cell_.key, program.vector(cell_.heads), program.carried(2 * cell_.heads)};
    const bool softmax = values_.kernel == PerformerKernel::softmax, plain = values_.features == 0;
    const Tensor w = plain ? Tensor() : directions(0).to(at::kFloat).contiguous();
    program.product({.weight = qkv_.weight, .bias = qkv_.bias, .x = x, .y = qkv});
    program.parts(d, [=](int64_t row, int64_t begin, int64_t end) {
        const float* from = qkv + row * 3 * d + 2 * d;
        for (int64_t i = begin; i < end; ++i) {
            float* to = v + row * sums + i / size * (size + 1) + i % size;
            *to = from[i];
            if (i % size == size - 1) to[1] = 1;
        }
    });
    program.parts(keys, [=, kernel = values_.kernel](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const float* head = qkv + row * 3 * d + i / of.features * size;
            float *query = q + row * keys + i, *key = k + row * keys + i;
            if (plain) {
                *query = std::max(0.0f, head[i % size]) + float(kReluShift);
                *key = std::max(0.0f, head[d + i % size]) + float(kReluShift);
                continue;
            }
            const float* direction = w.const_data_ptr<float>() + i % of.features * size;
            *query = step_feature(head, direction, size, kernel);
            *key = step_feature(head + d, direction, size, kernel);
        }
    });
    if (softmax) program.each_row([=](int64_t row) { exponentiate(of, row, q + row * keys, k + row * keys); });
    const StepOutput state = cell_.add_step(program, {.q = q,
                                                      .k = k,
                                                      .v = v,
                                                      .left = softmax ? of.left : nullptr,
                                                      .q_stride = keys,
                                                      .k_stride = keys,
                                                      .v_stride = sums});
    program.parts(d, [=, from = state.y](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const float* head = from + row * sums + i / size * (size + 1);
            mixed[row * d + i] = head[i % size] / std::max(head[size], float(kLeastSum));
        }
    });
    program.product({.weight = out_.weight, .bias = out_.bias, .x = mixed, .y = delta});
    return {delta, [=, load = state.load](const State& carried, int64_t row) {
                load(carried, row);
                std::vector<float> largest(static_cast<size_t>(of.heads));
                const Tensor given = carried.get("largest");
                copy_state(given, of.heads, largest.data());
                for (int64_t h = 0; h < of.heads; ++h) {
                    of.largest[row * 2 * of.heads + 2 * h] = largest[size_t(h)];
                    of.largest[row * 2 * of.heads + 2 * h + 1] = given.defined() ? 1 : 0;
                }
            }};
}

double PerformerBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_);
    return 8 * d * d + 4 * d * double(values_.features) + cell_.flops_per_token();
}

// x, queries, keys, values with ones, sums, what is mixed; in fp32 the exponents and what becomes of them; features.
double PerformerBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double keys = double(cell_.keys()), copies = 4.0 / double(shape.element_size);
    const bool softmax = values_.kernel == PerformerKernel::softmax;
    return 8 * double(width_) + (softmax ? 4 : 2) * copies * keys + (copies > 1 ? 2 * keys : 0) +
           cell_.kept_per_token();
}

}  // namespace lithe

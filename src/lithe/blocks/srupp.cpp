#include "lithe/blocks/srupp.h"

#include <cmath>

#include "lithe/blocks/look.h"
#include "lithe/ops/dropout.h"
namespace lithe {
namespace {

FieldInfo projection_field() {
    return {.name = "projection", .help = "inner size d'; default width / 4", .minimum = 1, .maximum = 1 << 20};
}

FieldInfo highway_field() {
    return {.name = "highway_bias",
            .help = "initial bias of the reset gate; below 0 lets the input through",
            .minimum = -20,
            .maximum = 20};
}

FieldInfo rescale_field() {
    return {.name = "rescale", .help = "multiply the skip input by sqrt(1 + 2 exp(highway_bias))"};
}

FieldInfo dropout_field() {
    return {.name = "dropout",
            .help = "before the expansion, and of the reset gate shared over time",
            .minimum = 0,
            .maximum = 0.99};
}

FieldInfo bidirectional_field() {
    return {.name = "bidirectional", .help = "half of the width runs backwards in time"};
}

void check_direction(bool bidirectional, const ModelConfig& model, const std::string& where, Problems& problems) {
    if (bidirectional && model.width % 2)
        problems.add(where + ": bidirectional needs an even width, got " + std::to_string(model.width));
    if (bidirectional && model.direction == Direction::causal)
        problems.add(where + ".bidirectional: the model is causal", "", "set model.direction = \"bidirectional\"");
}

int64_t default_projection(const ModelConfig& model) { return std::max<int64_t>(1, model.width / 4); }

}  // namespace

SruppValues SruppValues::defaults(const ModelConfig& model) {
    SruppValues values;
    values.projection = default_projection(model);
    values.heads = model.heads;
    values.dropout = model.dropout;
    values.attention_dropout = model.attention_dropout;
    values.bidirectional = model.direction == Direction::bidirectional;
    return values;
}

void SruppValues::visit(FieldVisitor& v) {
    v.field(projection_field(), projection);
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field(highway_field(), highway_bias);
    v.field(rescale_field(), rescale);
    v.field(dropout_field(), dropout);
    v.field({.name = "attention_dropout", .help = "dropout of attention weights", .minimum = 0, .maximum = 0.99},
            attention_dropout);
    v.field(bidirectional_field(), bidirectional);
}

void SruppValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (projection % heads)
        problems.add(where + ": projection " + std::to_string(projection) + " is no multiple of heads " +
                     std::to_string(heads));
    check_direction(bidirectional, model, where, problems);
}

SruppBlock::SruppBlock(const SruppValues& values, const BlockSite& site) : values_(values), width_(site.model.width) {
    const int64_t d = width_, p = values.projection;
    const int directions = values.bidirectional ? 2 : 1;
    ParameterStore& store = site.store;
    w1_ = store.add({site.name + ".w1", {p, d}, Role::matrix, Init::xavier(d, p)});
    w2_ = store.add({site.name + ".w2", {2 * p, p}, Role::matrix, Init::xavier(p, 2 * p), 2});
    scale_ = store.add({site.name + ".scale", {}, Role::scalar, Init::constant(0)});
    norm_ = LayerNorm(store, site.name + ".norm", p, site.model.norm_epsilon);
    w3_ = store.add({site.name + ".w3",
                     {3 * d, p},
                     Role::matrix,
                     Init::xavier(p, 3 * d, std::sqrt(1 - values.dropout)),
                     3 * directions});
    cell_ = SruCell(store, site.name,
                    {.width = d,
                     .directions = directions,
                     .highway_bias = values.highway_bias,
                     .rescale = values.rescale,
                     .dropout = values.dropout});
}

BranchOutput SruppBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    Tensor z_TBP = at::linear(x_TBD, w1_.tensor());
    ops::AttentionInput in{.q_TBP = z_TBP, .heads = values_.heads};
    std::vector<Tensor> key_and_value;  // W_k, W_v
    const bool absorbs = this->absorbs() && !looker_of(call.pass);
    if (absorbs) {
        key_and_value = w2_.tensor().view({2, values_.projection, -1}).unbind();
        in.q_TBP = at::matmul(z_TBP, key_and_value[0]);
    }
    const auto keys = [&](const Tensor& z) { return absorbs ? z : at::linear(z, w2_.tensor()); };
    in.kv_TBX = keys(z_TBP);
    const Recalled recalled = recall(
        state, x_TBD, call, [&](const Tensor& memory_MBD) { return keys(at::linear(memory_MBD, w1_.tensor())); });
    in.memory_MBX = recalled.memory_MBX;
    in.mask = recalled.mask.mask;
    if (call.pass.training) {
        in.dropout = values_.attention_dropout;
        in.dropout_key = call.site("attention");
    }
    Tensor mixed_TBP = ops::attention(in);
    if (!absorbs) show(call, {in.kv_TBX, values_.projection, mixed_TBP, values_.heads});
    if (absorbs) mixed_TBP = at::linear(mixed_TBP, key_and_value[1]);
    Tensor y_TBP = norm_.of_sum(z_TBP, scale_.tensor(), mixed_TBP);
    if (call.pass.training) y_TBP = ops::dropout(y_TBP, values_.dropout, call.site("expand"), 1);
    const State none;  // the backward direction has not seen what comes next
    out.delta_TBD = cell_.run(at::linear(y_TBP, w3_.tensor()), x_TBD, values_.bidirectional ? none : state, call, out);
    if (values_.bidirectional) out.state = State();
    remember(state, recalled, x_TBD, in.kv_TBX, call, out.state);
    return out;
}

StepOutput SruppBlock::add_step(StepProgram& program, const float* x, int64_t memory) const {
    if (values_.bidirectional) return {};
    const int64_t p = values_.projection;
    float *z = program.vector(p), *kv = program.vector(2 * p), *mixed = program.vector(p), *y = program.vector(p),
          *u = program.vector(cell_.plane_rows());
    program.product({.weight = w1_, .x = x, .y = z});
    program.product({.weight = w2_, .x = z, .y = kv});
    auto load = program.attention({.q = z,
                                   .kv = kv,
                                   .q_stride = p,
                                   .kv_stride = 2 * p,
                                   .width = p,
                                   .heads = values_.heads,
                                   .memory = memory,
                                   .out = mixed});
    const float* scale = scale_.tensor().data_ptr<float>();
    program.each_row([=](int64_t row) {
        for (int64_t i = row * p; i < (row + 1) * p; ++i) mixed[i] = z[i] + *scale * mixed[i];
    });
    program.norm(norm_, mixed, p, y);
    program.product({.weight = w3_, .x = y, .y = u, .planes = cell_.planes(), .settled = false});
    StepOutput cell = cell_.add_step(program, u, x);
    return {cell.y, [load, rest = cell.load, absorbs = absorbs(), w2 = w2_](const State& state, int64_t row) {
                const Tensor kept = state.get("projections");
                load(kept.defined() && absorbs ? at::linear(kept, w2.tensor()) : kept, row);
                rest(state, row);
            }};
}

double SruppBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_), p = double(values_.projection);
    const double again = 2 * d * p + (absorbs() ? 0 : 4 * p * p);
    return 8 * d * p + 4 * p * p + 4 * shape.keys() * p + shape.again() * again;
}

double SruppBlock::flops_without_input_gradient(const CostShape& shape) const {
    const double p = double(values_.projection);
    return shape.again() * 2 * double(width_) * p + (shape.kept ? 4 * double(shape.memory) * p : 0);
}

double SruppBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double d = double(width_), p = double(values_.projection),
                 span = 1 + double(shape.memory) / double(shape.length);
    const double projected = absorbs() ? 8 + 2 * span : 6 + 4 * span;
    return 6 * d + p * projected + kept_scores(shape, values_.heads, values_.attention_dropout, 2);
}

ProjectedSruValues ProjectedSruValues::defaults(const ModelConfig& model) {
    ProjectedSruValues values;
    values.projection = default_projection(model);
    values.dropout = model.dropout;
    values.bidirectional = model.direction == Direction::bidirectional;
    return values;
}

void ProjectedSruValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_direction(bidirectional, model, where, problems);
}

void ProjectedSruValues::visit(FieldVisitor& v) {
    v.field(projection_field(), projection);
    v.field(highway_field(), highway_bias);
    v.field(rescale_field(), rescale);
    v.field(dropout_field(), dropout);
    v.field(bidirectional_field(), bidirectional);
}

ProjectedSruBlock::ProjectedSruBlock(const ProjectedSruValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width) {
    const int64_t d = width_, p = values.projection;
    const int directions = values.bidirectional ? 2 : 1;
    w1_ = site.store.add({site.name + ".w1", {p, d}, Role::matrix, Init::xavier(d, p)});
    norm_ = LayerNorm(site.store, site.name + ".norm", p, site.model.norm_epsilon);
    w2_ = site.store.add({site.name + ".w2",
                          {3 * d, p},
                          Role::matrix,
                          Init::xavier(p, 3 * d, std::sqrt(1 - values.dropout)),
                          3 * directions});
    cell_ = SruCell(site.store, site.name,
                    {.width = d,
                     .directions = directions,
                     .highway_bias = values.highway_bias,
                     .rescale = values.rescale,
                     .dropout = values.dropout});
}

BranchOutput ProjectedSruBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    Tensor y_TBP = norm_(at::linear(x_TBD, w1_.tensor()));
    if (call.pass.training) y_TBP = ops::dropout(y_TBP, values_.dropout, call.site("expand"), 1);
    const State none;
    out.delta_TBD = cell_.run(at::linear(y_TBP, w2_.tensor()), x_TBD, values_.bidirectional ? none : state, call, out);
    if (values_.bidirectional) out.state = State();
    return out;
}

StepOutput ProjectedSruBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    if (values_.bidirectional) return {};
    const int64_t p = values_.projection;
    float *z = program.vector(p), *y = program.vector(p), *u = program.vector(cell_.plane_rows());
    program.product({.weight = w1_, .x = x, .y = z});
    program.norm(norm_, z, p, y);
    program.product({.weight = w2_, .x = y, .y = u, .planes = cell_.planes(), .settled = false});
    return cell_.add_step(program, u, x);
}

double ProjectedSruBlock::flops_per_token(const CostShape&) const {
    return 8 * double(width_) * double(values_.projection);
}

double ProjectedSruBlock::activation_numbers_per_token(const CostShape&) const {
    return 6 * double(width_) + 3 * double(values_.projection);
}

}  // namespace lithe

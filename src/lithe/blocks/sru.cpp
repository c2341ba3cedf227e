#include "lithe/blocks/sru.h"

namespace lithe {

SruValues SruValues::defaults(const ModelConfig& model) {
    SruValues values;
    values.dropout = model.dropout;
    values.bidirectional = model.direction == Direction::bidirectional;
    return values;
}

void SruValues::visit(FieldVisitor& v) {
    v.field({.name = "projection",
             .help = "factor the product through this size; 0 = no",
             .minimum = 0,
             .maximum = 1 << 20},
            projection);
    v.field({.name = "layer_norm", .help = "before: of the product's input; after: of the recurrence's output"},
            layer_norm);
    v.field({.name = "skip", .help = "input: 3 planes; projected: a fourth; none"}, skip);
    v.field({.name = "activation", .help = "of the state in the output"}, activation);
    v.field({.name = "highway_bias", .help = "initial bias of the reset gate", .minimum = -20, .maximum = 20},
            highway_bias);
    v.field({.name = "rescale", .help = "multiply the skip input by sqrt(1 + 2 exp(highway_bias)); 3 planes only"},
            rescale);
    v.field({.name = "bidirectional", .help = "half of the width runs backwards in time"}, bidirectional);
    v.field({.name = "dropout",
             .help = "of the reset gate, shared over time; the last block drops nothing",
             .minimum = 0,
             .maximum = 0.99},
            dropout);
    updates.visit(v);
}

void SruValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (bidirectional && model.width % 2)
        problems.add(where + ": bidirectional needs an even width, got " + std::to_string(model.width));
    if (bidirectional && model.direction == Direction::causal)
        problems.add(where + ".bidirectional: the model is causal", "", "set model.direction = \"bidirectional\"");
    if (bidirectional && updates.skip_updates)
        problems.add(where + ".skip_updates: what a step skips depends on the steps before it, in one direction", "",
                     "set bidirectional = false, or leave skip_updates out");
    updates.check(where, problems);
}

SruBlock::SruBlock(const SruValues& values, const BlockSite& site) : values_(values), width_(site.model.width) {
    const int64_t d = width_, planes = values.skip == SruSkip::projected ? 4 : 3;
    const int64_t in = values.projection > 0 ? values.projection : d;
    if (values.projection > 0)
        w_projection_ = site.store.add({site.name + ".w_projection", {in, d}, Role::matrix, Init::xavier(d, in)});
    w_ = site.store.add({site.name + ".w",
                         {planes * d, in},
                         Role::matrix,
                         Init::xavier(in, planes * d),
                         planes * (values.bidirectional ? 2 : 1)});
    if (values.layer_norm != SruNorm::none)
        norm_ = LayerNorm(site.store, site.name + ".norm", d, site.model.norm_epsilon);
    cell_ = SruCell(site.store, site.name,
                    {.width = d,
                     .directions = values.bidirectional ? 2 : 1,
                     .planes = int(planes),
                     .skip = values.skip != SruSkip::none,
                     .tanh = values.activation == SruActivation::tanh,
                     .highway_bias = values.highway_bias,
                     .rescale = values.rescale && planes == 3,
                     .dropout = values.dropout});
    gate_ = UpdateGate(values.updates, site, d);
}

BranchOutput SruBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    Tensor in = values_.layer_norm == SruNorm::before ? norm_(x_TBD) : x_TBD;
    if (w_projection_) in = at::linear(in, w_projection_.tensor());
    State carried = state;
    if (values_.bidirectional) carried = State();  // the backward direction has not seen the next segment
    Tensor h = cell_.run(at::linear(in, w_.tensor()), x_TBD, carried, call, out, gate_);
    if (values_.bidirectional) out.state = State();
    out.delta_TBD = values_.layer_norm == SruNorm::after ? norm_(h) : h;
    return out;
}

StepOutput SruBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    if (values_.bidirectional || gate_) return {};
    const float* in = x;
    if (values_.layer_norm == SruNorm::before) {
        float* y = program.vector(width_);
        program.norm(norm_, x, width_, y);
        in = y;
    }
    if (w_projection_) {
        float* z = program.vector(values_.projection);
        program.product({.weight = w_projection_, .x = in, .y = z});
        in = z;
    }
    float* u = program.vector(cell_.plane_rows());
    program.product({.weight = w_, .x = in, .y = u, .planes = cell_.planes(), .settled = false});
    StepOutput cell = cell_.add_step(program, u, x);
    if (values_.layer_norm != SruNorm::after) return cell;
    float* y = program.vector(width_);
    program.norm(norm_, cell.y, width_, y);
    return {y, cell.load};
}

double SruBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_), planes = values_.skip == SruSkip::projected ? 4 : 3,
                 p = double(values_.projection);
    return p > 0 ? 2 * p * (d + planes * d) : 2 * planes * d * d;
}

double SruBlock::activation_numbers_per_token(const CostShape&) const {
    return double(width_) * 8 + double(values_.projection) + gate_.activation_numbers_per_token();
}

}  // namespace lithe

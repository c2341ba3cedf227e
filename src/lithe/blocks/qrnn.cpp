#include "lithe/blocks/qrnn.h"

#include <cmath>

#include "lithe/ops/dropout.h"
#include "lithe/ops/token_windows.h"

namespace lithe {
namespace {

constexpr double kShut = 1e4;  // a gate's sum at which it is open or shut to the last bit, in every type

}  // namespace

void QrnnValues::visit(FieldVisitor& v) {
    v.field({.name = "window", .help = "tokens that a product sees, its own included", .minimum = 1, .maximum = 64},
            window);
    v.field({.name = "pooling", .help = "gates of the recurrence: f, f and o, or i, f and o"}, pooling);
    v.field({.name = "gate", .help = "what f does: forget keeps the state by it, admit takes the new value by it"},
            gate);
    v.field({.name = "zoneout",
             .help = "probability that a unit keeps its state for a step, in training",
             .minimum = 0,
             .maximum = 0.99},
            zoneout);
    updates.visit(v);
}

void QrnnValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    if (pooling == QrnnPooling::ifo && gate == QrnnGate::admit)
        problems.add(where + ": pooling \"ifo\" has a gate of its own that admits", "",
                     "set gate = \"forget\", or pooling = \"fo\"");
    updates.check(where, problems);
}

kernels::Cell QrnnValues::cell() const {
    using enum kernels::Cell;
    if (gate == QrnnGate::admit) return pooling == QrnnPooling::f ? qrnn_admit_f : qrnn_admit_fo;
    return pooling == QrnnPooling::f ? qrnn_f : pooling == QrnnPooling::fo ? qrnn_fo : qrnn_ifo;
}

QrnnBlock::QrnnBlock(const QrnnValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      planes_(kernels::traits_of(values.cell()).planes) {
    const int64_t in = values.window * width_;
    const Init init = Init::uniform(1 / std::sqrt(double(in)));
    w_ = site.store.add({site.name + ".w", {planes_ * width_, in}, Role::matrix, init, planes_});
    bias_ = site.store.add({site.name + ".bias", {planes_, width_}, Role::bias, init});
    gate_ = UpdateGate(values.updates, site, width_);
}

double QrnnBlock::alpha(bool training) const {
    return values_.gate == QrnnGate::admit && !training ? 1 - values_.zoneout : 1;
}

void QrnnBlock::zone_out(const Tensor& u, const Call& call) const {
    const Tensor ones = at::ones({u.size(0), u.size(1), width_}, u.options().requires_grad(false));
    const Tensor zoned = ops::dropout(ones, values_.zoneout, call.site("zoneout"), 1).eq(0);
    u.narrow(2, width_, width_).masked_fill_(zoned, values_.gate == QrnnGate::admit ? -kShut : kShut);
}

BranchOutput QrnnBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    Tensor in = x_TBD;
    if (values_.window > 1) {
        const auto windows = ops::token_windows(x_TBD, state.get("tokens"), call.pass.flags_TB(), values_.window);
        in = windows.windows_TBX;
        out.state.put("tokens", windows.last_LBD, 1);
    }
    const Tensor u = at::linear(in, w_.tensor());
    const bool training = call.pass.training;
    if (training && values_.zoneout > 0) zone_out(u, call);
    out.delta_TBD = run_cell({.cell = values_.cell(), .u = u, .weights = {bias_.tensor()}, .alpha = alpha(training)},
                             gate_, state, call, out);
    return out;
}

StepOutput QrnnBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    if (gate_) return {};
    const int64_t d = width_, kept = (values_.window - 1) * d, whole = kept + d;
    const float* in = x;
    float* window = nullptr;
    if (kept > 0) {
        // newest first: the tokens before move on by one, then x takes the first place
        window = program.carried(whole);
        program.parts(d, [=, tokens = values_.window](int64_t row, int64_t begin, int64_t end) {
            float* own = window + row * whole;
            for (int64_t j = tokens - 1; j > 0; --j)
                std::copy(own + (j - 1) * d + begin, own + (j - 1) * d + end, own + j * d + begin);
            std::copy(x + row * d + begin, x + row * d + end, own + begin);
        });
        in = window;
    }
    float* u = program.vector(planes_ * d);
    program.product({.weight = w_, .x = in, .y = u, .planes = planes_, .settled = false});
    const StepOutput cell = add_cell_step(
        program, {.cell = values_.cell(), .width = d, .u = u, .weights = {bias_.tensor()}, .alpha = alpha(false)});
    return {cell.y, [=, tokens = values_.window - 1](const State& state, int64_t row) {
                cell.load(state, row);
                if (!window) return;
                const Tensor before = state.get("tokens");  // oldest first
                copy_state(before.defined() ? before.flip(0) : before, tokens * d, window + row * whole);
            }};
}

double QrnnBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_);
    return 2 * double(planes_ * values_.window) * d * d;
}

double QrnnBlock::activation_numbers_per_token(const CostShape&) const {
    const double windows = values_.window > 1 ? double(values_.window) : 0;
    return (3 + double(planes_) + windows + (values_.zoneout > 0 ? 1 : 0)) * double(width_) +
           gate_.activation_numbers_per_token();
}

}  // namespace lithe

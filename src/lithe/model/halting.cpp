#include "lithe/model/halting.h"

#include <cmath>

namespace lithe {

void HaltingValues::visit(FieldVisitor& v) {
    v.field({.name = "threshold",
             .help = "a position halts when its halting probabilities reach this, Graves's 1 - epsilon",
             .minimum = 0,
             .maximum = 1},
            threshold);
    v.field({.name = "ponder", .help = "weight of the loss of a position's steps", .minimum = 0, .maximum = 100},
            ponder);
    v.field({.name = "bias",
             .help = "of the halting unit when training begins: above 0 positions halt early",
             .minimum = -20,
             .maximum = 20},
            bias);
}

Halting::Halting(at::IntArrayRef positions, at::TensorOptions numbers, double threshold)
    : threshold_(threshold),
      running_(at::ones(positions, numbers.dtype(at::kBool))),
      sum_(at::zeros(positions, numbers)),
      remainder_(sum_),
      steps_(sum_) {}

Tensor Halting::weights(const Tensor& h, bool last) {
    const Tensor left = 1 - sum_;
    sum_ = sum_ + h;
    const Tensor halts = last ? running_ : running_.logical_and(sum_.ge(threshold_));
    const Tensor weight = at::where(halts, left, h) * running_;
    remainder_ = at::where(halts, left, remainder_);
    steps_ = steps_ + running_;
    running_ = running_.logical_and(halts.logical_not());
    return weight;
}

HaltingUnit::HaltingUnit(ParameterStore& store, const std::string& name_, int64_t width, const HaltingValues& values)
    : name(name_),
      weight(store.add({name_ + ".weight", {width}, Role::vector, Init::xavier(width, 1)})),
      bias(store.add({name_ + ".bias", {1}, Role::bias, Init::constant(values.bias)})) {}

UnitOutput HaltingRun::forward(const Flow& flow, const State& state, const Pass& pass) const {
    Tensor s_TBD = flow.x_TBD;
    const at::ScalarType type = ops::compute_type(s_TBD.scalar_type());
    Halting halting({s_TBD.size(0), s_TBD.size(1)}, s_TBD.options().dtype(type).requires_grad(false),
                    values_.threshold);
    UnitOutput all;
    all.flow.bag = flow.bag;
    Tensor y_TBD;
    for (size_t n = 0; n < steps_.size(); ++n) {
        UnitOutput out = steps_[n]->forward({s_TBD, all.flow.bag}, state.part(n), pass);
        s_TBD = n == 0 ? out.flow.x_TBD : at::where(halting.running().unsqueeze(2), out.flow.x_TBD, s_TBD);
        const Tensor h_TB = ((s_TBD * unit_.weight.tensor()).sum(2) + unit_.bias.tensor()).sigmoid();
        const Tensor part = s_TBD * halting.weights(h_TB, n + 1 == steps_.size()).unsqueeze(2);
        y_TBD = y_TBD.defined() ? y_TBD + part : part;
        all.flow.bag = std::move(out.flow.bag);
        all.state.parts.push_back(std::move(out.state));
        all.aux.append(std::move(out.aux));
    }
    all.flow.x_TBD = y_TBD.to(flow.x_TBD.scalar_type());
    if (pass.training) add_aux(halting, pass, all.aux);
    return all;
}

// Means of rows, padding left out, so that nothing depends on how a batch is cut.
static Tensor mean_of(const Tensor& values_TB, const Pass& pass) {
    if (!pass.marks) return values_TB.mean();
    const Tensor valid_TB = pass.marks->padding_BT.transpose(0, 1).eq(0);
    return ((values_TB * valid_TB).sum(0) / valid_TB.sum(0).clamp_min(1)).mean();
}

void HaltingRun::add_aux(const Halting& halting, const Pass& pass, Aux& aux) const {
    if (values_.ponder > 0) aux.losses.emplace_back("ponder", values_.ponder * mean_of(halting.ponder(), pass));
    const at::NoGradGuard no_grad;
    aux.metrics.emplace_back(unit_.name + ".steps", mean_of(halting.steps(), pass).to(at::kDouble));
}

State HaltingRun::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    State after;
    for (size_t n = 0; n < steps_.size(); ++n) after.parts.push_back(steps_[n]->skip(x_TBD, state.part(n), pass));
    return after;
}

std::vector<const Unit*> HaltingRun::units() const {
    std::vector<const Unit*> list;
    for (const auto& step : steps_) list.push_back(step.get());
    return list;
}

namespace {

// A row of a single step, as forward() has a position.
struct HaltingRow {
    const float *weight, *bias;
    int64_t width;
    float threshold;
    // What the rows have come to: {sum of h, whether it has halted}; s, and y.
    float *progress, *s, *y;

    void begin(int64_t row) const {
        progress[2 * row] = 0;
        progress[2 * row + 1] = 0;
        std::fill_n(y + row * width, width, 0.0F);
    }
    // `out`: what the step gave.
    void take(int64_t row, const float* out, bool last) const {
        float& sum = progress[2 * row];
        float& halted = progress[2 * row + 1];
        if (halted != 0) return;
        float* of_s = s + row * width;
        float* of_y = y + row * width;
        float logit = *bias;
        for (int64_t i = 0; i < width; ++i) {
            of_s[i] = out[row * width + i];
            logit += weight[i] * of_s[i];
        }
        const float h = 1 / (1 + std::exp(-logit));
        const bool halts = last || sum + h >= threshold;
        const float p = halts ? 1 - sum : h;
        for (int64_t i = 0; i < width; ++i) of_y[i] += p * of_s[i];
        sum += h;
        halted = halts ? 1 : 0;
    }
};

}  // namespace

StepOutput HaltingRun::add_step(StepProgram& program, const float* x, int64_t memory) const {
    const int64_t width = unit_.weight.tensor().numel();
    const HaltingRow rows{.weight = unit_.weight.tensor().data_ptr<float>(),
                          .bias = unit_.bias.tensor().data_ptr<float>(),
                          .width = width,
                          .threshold = float(values_.threshold),
                          .progress = program.vector(2),
                          .s = program.vector(width),
                          .y = program.vector(width)};
    std::vector<std::function<void(const State&, int64_t)>> loads;
    for (size_t n = 0; n < steps_.size(); ++n) {
        StepOutput out = steps_[n]->add_step(program, n == 0 ? x : rows.s, memory);
        if (!out.y) return {};
        const bool last = n + 1 == steps_.size();
        program.each_row([=, y = out.y](int64_t row) {
            if (n == 0) rows.begin(row);
            rows.take(row, y, last);
        });
        loads.push_back(std::move(out.load));
    }
    return {rows.y, [loads = std::move(loads)](const State& state, int64_t row) {
                for (size_t n = 0; n < loads.size(); ++n)
                    if (loads[n]) loads[n](state.part(n), row);
            }};
}

}  // namespace lithe

#include "lithe/blocks/rg_lru.h"

#include <cmath>

#include "lithe/kernels/short_convolution/short_convolution.h"
#include "lithe/spec/layout.h"

namespace lithe {
namespace {

constexpr double kRate = 8;                    // the paper's c
constexpr double kVarianceOfGates = 0.01;      // times 1 / fan-in, of gates and convolution
constexpr double kVarianceOfOutput = 2;        // the same of the last product, over the number of layers
constexpr double kLeast = 0.9, kMost = 0.999;  // a0 at the start; a = a0^8 where the gate is 1

// What stands at the top of a layout, repetitions counted.
int64_t layers_of(const std::string& layout) {
    int64_t count = 0;
    for (const LayoutNode& item : parse_layout(layout).children) count += item.repeat;
    return std::max<int64_t>(1, count);
}

// softplus(L) = -log(a0) with a0^2 spread evenly, as the code draws it; neighbours differ widely (multiples of the
// golden ratio), so that every block of gates has all rates.
std::vector<double> initial_l(int64_t width) {
    std::vector<double> values;
    for (int64_t i = 0; i < width; ++i) {
        const double place = std::fmod((double(i) + 0.5) * 0.6180339887498949, 1.0);
        const double square = kLeast * kLeast + (kMost * kMost - kLeast * kLeast) * place;
        values.push_back(std::log(std::expm1(-0.5 * std::log(square))));
    }
    return values;
}

}  // namespace

RgLruValues RgLruValues::defaults(const ModelConfig& model) {
    RgLruValues values;
    values.inner = model.width;
    values.heads = model.heads;
    return values;
}

void RgLruValues::visit(FieldVisitor& v) {
    v.field({.name = "inner", .help = "width of the recurrence; default width", .minimum = 1, .maximum = 1 << 22},
            inner);
    v.field({.name = "heads", .help = "blocks that the gates' products fall into", .minimum = 1, .maximum = 4096},
            heads);
    v.field({.name = "taps",
             .help = "tokens that the convolution sees",
             .minimum = 2,
             .maximum = double(kernels::kMostTaps)},
            taps);
    updates.visit(v);
}

void RgLruValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    if (inner % heads)
        problems.add(where + ": inner " + std::to_string(inner) + " is no multiple of heads " + std::to_string(heads));
    updates.check(where, problems);
}

RgLruBlock::RgLruBlock(const RgLruValues& values, const BlockSite& site) : values_(values), width_(site.model.width) {
    const int64_t d = width_, inner = values.inner, block = inner / values.heads;
    const auto matrix = [&](const char* name, int64_t rows, int64_t columns, double variance, int64_t stacked = 1) {
        return site.store.add({site.name + name,
                               {rows, columns},
                               Role::matrix,
                               Init::normal(std::sqrt(variance / double(columns))),
                               stacked});
    };
    const auto bias = [&](const char* name, std::vector<int64_t> shape) {
        return site.store.add({site.name + name, std::move(shape), Role::bias, Init::constant(0)});
    };
    w_y_ = matrix(".w_y", inner, d, 1);
    b_y_ = bias(".b_y", {inner});
    w_x_ = matrix(".w_x", inner, d, 1);
    b_x_ = bias(".b_x", {inner});
    convolution_ = ShortConvolution(
        site.store, site.name + ".convolution",
        {.width = inner, .taps = values.taps, .deviation = std::sqrt(kVarianceOfGates / double(values.taps))});
    w_gates_ = matrix(".w_gates", 2 * inner, block, kVarianceOfGates, 2 * values.heads);
    b_gates_ = bias(".b_gates", {2, inner});
    l_ = site.store.add({site.name + ".l", {inner}, Role::vector, Init::rows(initial_l(inner))});
    w_out_ = matrix(".w_out", d, inner, kVarianceOfOutput / double(layers_of(site.model.layout)));
    b_out_ = bias(".b_out", {d});
    gate_ = UpdateGate(values.updates, site, inner);
}

Tensor RgLruBlock::gates(const Tensor& z_TBE) const {
    const int64_t heads = values_.heads, block = values_.inner / heads;
    if (heads == 1) return at::linear(z_TBE, w_gates_.tensor());
    const Tensor z_HNE = z_TBE.reshape({-1, heads, block}).transpose(0, 1);
    const Tensor w_HEX = w_gates_.tensor().view({heads, 2 * block, block}).transpose(1, 2);
    const Tensor u_HNX = at::bmm(z_HNE, w_HEX);
    return u_HNX.view({heads, -1, 2, block})
        .permute({1, 2, 0, 3})
        .reshape({z_TBE.size(0), z_TBE.size(1), 2 * values_.inner});
}

Tensor RgLruBlock::rates() const { return at::softplus(l_.tensor()) * -kRate; }

BranchOutput RgLruBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto product = [](const Tensor& x, const Parameter& w, const Parameter& bias) {
        return at::linear(x, w.tensor(), bias.tensor().to(x.scalar_type()));
    };
    BranchOutput out;
    const Tensor y = at::gelu(product(x_TBD, w_y_, b_y_), "tanh");
    const Tensor z = convolution_.run(product(x_TBD, w_x_, b_x_), state, call, out.state);
    const Tensor h = run_cell({.cell = kernels::Cell::rg_lru,
                               .u = gates(z),
                               .x_TBD = z,
                               .weights = {rates(), b_gates_.tensor()},
                               .whole_start = true},
                              gate_, state, call, out);
    out.delta_TBD = product(h * y, w_out_, b_out_);
    return out;
}

StepOutput RgLruBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    if (values_.heads > 1 || gate_) return {};  // a product of blocks has no operation
    const int64_t inner = values_.inner;
    float *y = program.vector(inner), *z = program.vector(inner), *u = program.vector(2 * inner),
          *out = program.vector(width_);
    program.product({.weight = w_y_, .bias = b_y_, .x = x, .y = y});
    program.product({.weight = w_x_, .bias = b_x_, .x = x, .y = z, .settled = false});
    const StepOutput convolved = convolution_.add_step(program, z);
    program.product({.weight = w_gates_, .x = convolved.y, .y = u, .planes = 2, .settled = false});
    const StepOutput cell = add_cell_step(program, {.cell = kernels::Cell::rg_lru,
                                                    .width = inner,
                                                    .u = u,
                                                    .x = convolved.y,
                                                    .weights = {rates().detach(), b_gates_.tensor()},
                                                    .whole_start = true});
    program.parts(inner, [=, h = cell.y](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = row * inner + begin; i < row * inner + end; ++i) {
            const float v = y[i], bent = 0.7978845608f * (v + 0.044715f * v * v * v);
            y[i] = h[i] * 0.5f * v * (1 + std::tanh(bent));
        }
    });
    program.product({.weight = w_out_, .bias = b_out_, .x = y, .y = out});
    return {out, [=](const State& state, int64_t row) {
                convolved.load(state, row);
                cell.load(state, row);
            }};
}

double RgLruBlock::flops_per_token(const CostShape&) const {
    const double inner = double(values_.inner);
    return 6 * inner * double(width_) + 4 * inner * inner / double(values_.heads);
}

double RgLruBlock::activation_numbers_per_token(const CostShape&) const {
    return double(width_) + (values_.heads > 1 ? 10 : 8) * double(values_.inner) + gate_.activation_numbers_per_token();
}

}  // namespace lithe

#include "lithe/blocks/lru.h"

#include <cmath>

#include "lithe/ops/diagonal_state.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/glu.h"

namespace lithe {
namespace {

// Point i of a sequence that fills the square evenly (Roberts 2018): powers of the root of x^3 = x + 1.
double even_place(int64_t i, double power) { return std::fmod((double(i) + 0.5) * power, 1.0); }
constexpr double kFirstPower = 0.7548776662466927, kSecondPower = 0.5698402909980532;

struct Ring {
    std::vector<double> nu, theta, gamma;
    explicit Ring(const LruValues& values) {
        const double inner = values.r_min * values.r_min, outer = values.r_max * values.r_max;
        for (int64_t i = 0; i < values.states; ++i) {
            const double square = inner + (outer - inner) * even_place(i, kFirstPower);
            nu.push_back(std::log(-0.5 * std::log(square)));
            theta.push_back(std::log(values.max_phase * even_place(i, kSecondPower)));
            gamma.push_back(0.5 * std::log1p(-square));
        }
    }
};

}  // namespace

LruValues LruValues::defaults(const ModelConfig& model) {
    LruValues values;
    values.states = model.width;
    values.dropout = model.dropout;
    return values;
}

void LruValues::visit(FieldVisitor& v) {
    v.field({.name = "states", .help = "complex states; default width", .minimum = 1, .maximum = 1 << 22}, states);
    v.field({.name = "r_min", .help = "least size of lambda at the start", .minimum = 0, .maximum = 1}, r_min);
    v.field({.name = "r_max", .help = "largest size of lambda at the start", .minimum = 0, .maximum = 1}, r_max);
    v.field({.name = "max_phase", .help = "largest phase of lambda at the start", .minimum = 1e-6, .maximum = 7},
            max_phase);
    v.field({.name = "dropout", .help = "of what gelu gives", .minimum = 0, .maximum = 0.99}, dropout);
}

void LruValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    if (r_min >= r_max)
        problems.add(where + ": r_min " + std::to_string(r_min) + " is not below r_max " + std::to_string(r_max));
}

LruBlock::LruBlock(const LruValues& values, const BlockSite& site) : values_(values), width_(site.model.width) {
    const int64_t d = width_, n = values.states;
    const Ring ring(values);
    const auto vector = [&](const char* name, std::vector<double> start) {
        return site.store.add({site.name + name, {n}, Role::vector, Init::rows(std::move(start))});
    };
    nu_ = vector(".nu", ring.nu);
    theta_ = vector(".theta", ring.theta);
    gamma_ = vector(".gamma", ring.gamma);
    b_ = site.store.add({site.name + ".b", {2 * n, d}, Role::matrix, Init::normal(std::sqrt(0.5 / double(d))), 2});
    c_ = site.store.add({site.name + ".c", {d, 2 * n}, Role::matrix, Init::normal(std::sqrt(1 / double(n)))});
    d_ = site.store.add({site.name + ".d", {d}, Role::vector, Init::normal(1)});
    w_ = site.store.add({site.name + ".w", {2 * d, d}, Role::matrix, Init::normal(std::sqrt(1 / double(d))), 2});
    bias_ = site.store.add({site.name + ".bias", {2 * d}, Role::bias, Init::constant(0)});
}

BranchOutput LruBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto type = x_TBD.scalar_type(), compute = ops::compute_type(type);
    const Tensor size = nu_.tensor().exp().neg().exp(), phase = theta_.tensor().exp();
    const Tensor scale = gamma_.tensor().exp().repeat({2}).unsqueeze(1);
    const Tensor b = (b_.tensor().to(compute) * scale).to(type);
    const auto out = ops::diagonal_state({.form = kernels::DiagonalForm::pairs,
                                          .x_TBX = at::linear(x_TBD, b),
                                          .a_PND = at::stack({size * phase.cos(), size * phase.sin()}).unsqueeze(1),
                                          .s0_BPND = state.get("s"),
                                          .flags_TB = call.pass.flags_TB()});
    const Tensor y = at::addcmul(at::linear(out.y_TBX, c_.tensor()), x_TBD, d_.tensor().to(type));
    Tensor bent = at::gelu(y, "tanh");
    if (call.pass.training) bent = ops::dropout(bent, values_.dropout, call.site("gelu"), 1);
    BranchOutput branch;
    branch.delta_TBD = ops::glu(at::linear(bent, w_.tensor(), bias_.tensor().to(type)), kernels::GluGate::sigmoid);
    branch.state.put("s", out.s_BPND, 0);
    return branch;
}

double LruBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_), n = double(values_.states);
    return 8 * d * n + 4 * d * d + 8 * n;
}

// x, y, gelu's and both halves; B x and h.
double LruBlock::activation_numbers_per_token(const CostShape&) const {
    return (values_.dropout > 0 ? 7 : 6) * double(width_) + 4 * double(values_.states);
}

}  // namespace lithe

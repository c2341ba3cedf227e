#include "lithe/blocks/s4d.h"

#include <cmath>

#include "lithe/kernels/diagonal_state/diagonal_state.h"
#include "lithe/ops/diagonal_state.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/glu.h"

namespace lithe {
namespace {

// Evenly by size, from 0.001 to 0.1.
double first_log_dt(double unit) { return std::log(0.001) + unit * std::log(100.0); }

double first_w(S4dStart start, int64_t states, int64_t n) {
    if (start == S4dStart::lin) return M_PI * double(n);
    return double(states) / M_PI * (double(states) / double(2 * n + 1) - 1);
}

}  // namespace

S4dValues S4dValues::defaults(const ModelConfig& model) {
    S4dValues values;
    values.dropout = model.dropout;
    return values;
}

void S4dValues::visit(FieldVisitor& v) {
    v.field({.name = "states",
             .help = "numbers in the state of a channel; complex ones count as two",
             .minimum = 1,
             .maximum = 1 << 16},
            states);
    v.field({.name = "start", .help = "where the diagonal matrix begins; real also keeps it so"}, start);
    v.field({.name = "dropout", .help = "of what gelu gives", .minimum = 0, .maximum = 0.99}, dropout);
}

void S4dValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    if (!(start == S4dStart::real) && states % 2)
        problems.add(where + ": states " + std::to_string(states) + " is odd, but complex numbers count as two");
}

S4dBlock::S4dBlock(const S4dValues& values, const BlockSite& site) : values_(values), width_(site.model.width) {
    const int64_t d = width_, count = numbers();
    const auto vector = [&](const char* name, std::vector<int64_t> shape, const Init& init) {
        return site.store.add({site.name + name, std::move(shape), Role::vector, init});
    };
    std::vector<double> log_a, w;
    for (int64_t n = 0; n < count; ++n) {
        log_a.push_back(std::log(real() ? double(n + 1) : 0.5));
        w.push_back(first_w(values.start, values.states, n));
    }
    log_dt_ = vector(".log_dt", {d}, Init::drawn(first_log_dt));
    log_a_ = vector(".log_a", {count, d}, Init::rows(log_a));
    if (!real()) w_ = vector(".w", {count, d}, Init::rows(w));
    const Init reading = Init::normal(real() ? 1 : std::sqrt(0.5));
    c_ = site.store.add({site.name + ".c", {real() ? 1 : 2, count, d}, Role::matrix, reading});
    d_ = vector(".d", {d}, Init::normal(1));
    const Init out = Init::uniform(1 / std::sqrt(double(d)));
    out_ = site.store.add({site.name + ".out", {2 * d, d}, Role::matrix, out, 2});
    bias_ = site.store.add({site.name + ".bias", {2 * d}, Role::bias, out});
}

// a - 1 without the difference, which would be rounding for small steps: with a = e^{u + iv},
// Re(a - 1) = (e^u - 1) cos v - 2 sin^2(v / 2).
S4dBlock::Discrete S4dBlock::discrete() const {
    const Tensor dt = log_dt_.tensor().exp(), rate = log_a_.tensor().exp().neg();
    const Tensor grown = (dt * rate).expm1(), c = c_.tensor().to(dt.scalar_type());
    if (real()) return {(grown + 1).unsqueeze(0), c * (grown / rate)};
    const Tensor& w = w_.tensor();
    const Tensor angle = dt * w, im = (grown + 1) * angle.sin();
    const Tensor less = grown * angle.cos() - 2 * (angle / 2).sin().square();  // of a, 1 taken off
    const Tensor size = rate.square() + w.square();
    const Tensor b_re = (less * rate + im * w) / size, b_im = (im * rate - less * w) / size;
    return {at::stack({less + 1, im}), 2 * at::stack({c[0] * b_re - c[1] * b_im, c[0] * b_im + c[1] * b_re})};
}

BranchOutput S4dBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto type = x_TBD.scalar_type();
    const Discrete discretised = discrete();
    const auto out = ops::diagonal_state({.form = real() ? kernels::DiagonalForm::real : kernels::DiagonalForm::complex,
                                          .x_TBX = x_TBD,
                                          .a_PND = discretised.a,
                                          .c_PND = discretised.c,
                                          .s0_BPND = state.get("s"),
                                          .flags_TB = call.pass.flags_TB()});
    Tensor bent = at::gelu(at::addcmul(out.y_TBX, x_TBD, d_.tensor().to(type)));
    if (call.pass.training) bent = ops::dropout(bent, values_.dropout, call.site("gelu"), 1);
    BranchOutput branch;
    branch.delta_TBD = ops::glu(at::linear(bent, out_.tensor(), bias_.tensor().to(type)), kernels::GluGate::sigmoid);
    branch.state.put("s", out.s_BPND, 0);
    return branch;
}

double S4dBlock::flops_per_token(const CostShape&) const {
    return 4 * double(width_) * double(width_) + (real() ? 4 : 12) * double(numbers()) * double(width_);
}

// x, y with the skip, gelu's and both halves; a state in fp32 for each chunk.
double S4dBlock::activation_numbers_per_token(const CostShape&) const {
    const double states = 2 * double(values_.states) / double(kernels::kDiagonalChunk);
    return (6 + (values_.dropout > 0 ? 1 : 0) + states) * double(width_);
}

}  // namespace lithe

#include "lithe/blocks/mamba2.h"

#include "lithe/spec/layout.h"

namespace lithe {
namespace {

constexpr int64_t kHead = 64;

}  // namespace

Mamba2Values Mamba2Values::defaults(const ModelConfig& model) {
    Mamba2Values values;
    values.inner = 2 * model.width;
    values.heads = std::max<int64_t>(1, values.inner / kHead);
    return values;
}

void Mamba2Values::visit(FieldVisitor& v) {
    v.field({.name = "inner", .help = "of x and the gate; default 2 x width", .minimum = 1, .maximum = 1 << 20}, inner);
    v.field(
        {.name = "heads", .help = "heads, each with a decay; default 2 x width / 64", .minimum = 1, .maximum = 1 << 14},
        heads);
    v.field({.name = "state", .help = "of B and C, which all heads share", .minimum = 1, .maximum = 4096}, state);
    v.field({.name = "taps", .help = "of the convolution", .minimum = 2, .maximum = 8}, taps);
}

void Mamba2Values::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    check_heads(where, "inner", inner, heads, problems);
}

Mamba2Block::Mamba2Block(const Mamba2Values& values, const BlockSite& site)
    : width_(site.model.width),
      inner_(values.inner),
      cell_{values.heads, values.state, values.inner / values.heads} {
    const Init init = Init::uniform(1 / std::sqrt(double(width_)));
    auto vector = [&](const char* name, Role role, const Init& start) {
        return site.store.add({site.name + "." + name, {values.heads}, role, start});
    };
    in_ = site.store.add({site.name + ".in", {rows(), width_}, Role::matrix, init});
    convolution_ =
        ShortConvolution(site.store, site.name + ".convolution", {.width = mixed(), .taps = values.taps, .silu = true});
    dt_bias_ = vector("dt_bias", Role::bias, Init::drawn(first_dt_bias));
    log_a_ = vector("log_a", Role::vector, Init::drawn(first_log_a));
    skip_ = vector("skip", Role::vector, Init::constant(1));
    norm_ = RmsNorm(site.store, site.name + ".norm", inner_, site.model.norm_epsilon, kernels::NormGate::before);
    const int64_t layers = std::max<int64_t>(1, count_blocks(parse_layout(site.model.layout)));
    out_ = site.store.add(
        {site.name + ".out", {width_, inner_}, Role::matrix, Init::uniform(1 / std::sqrt(double(inner_ * layers)))});
}

BranchOutput Mamba2Block::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    const auto type = x_TBD.scalar_type(), compute = ops::compute_type(type);
    const auto parts = at::linear(x_TBD, in_.tensor()).split_with_sizes({inner_, mixed(), cell_.heads}, 2);
    const Tensor xbc = convolution_.run(parts[1], state, call, out.state);
    const auto mixed_parts = xbc.split_with_sizes({inner_, cell_.key, cell_.key}, 2);
    const Tensor x = mixed_parts[0].unflatten(2, {cell_.heads, cell_.value});
    const Tensor dt = at::softplus(parts[2].to(compute) + dt_bias_.tensor());
    ops::MatrixStateInput in;
    in.q_TBHK = mixed_parts[2].unsqueeze(2);
    in.k_TBHK = mixed_parts[1].unsqueeze(2);
    in.v_TBHV = x * dt.to(type).unsqueeze(3);
    in.g_TBX = -dt * log_a_.tensor().exp();
    const Tensor y = cell_.run(in, state, call, out.state).unflatten(2, {cell_.heads, cell_.value}) +
                     x * skip_.tensor().to(type).unsqueeze(1);
    out.delta_TBD = at::linear(norm_(y.flatten(2), parts[0]), out_.tensor());
    return out;
}

StepOutput Mamba2Block::add_step(StepProgram& program, const float* u, int64_t) const {
    const int64_t inner = inner_, heads = cell_.heads, key = cell_.key, value = cell_.value, all = rows(),
                  width = mixed();
    float *packed = program.vector(all), *xbc = program.vector(width), *left = program.vector(heads),
          *v = program.vector(inner), *y = program.vector(inner), *normed = program.vector(inner),
          *delta = program.vector(width_);
    program.product({.weight = in_, .x = u, .y = packed});
    program.parts(
        width,
        [=](int64_t row, int64_t begin, int64_t end) {
            std::copy_n(packed + row * all + inner + begin, end - begin, xbc + row * width + begin);
        },
        false);
    const StepOutput convolved = convolution_.add_step(program, xbc);
    program.each_row([=, x = convolved.y, log_a = log_a_.tensor().data_ptr<float>(),
                      bias = dt_bias_.tensor().data_ptr<float>()](int64_t row) {
        for (int64_t head = 0; head < heads; ++head) {
            const float dt = softplus(packed[row * all + inner + width + head] + bias[head]);
            left[row * heads + head] = std::exp(-dt * std::exp(log_a[head]));
            for (int64_t n = head * value; n < (head + 1) * value; ++n) v[row * inner + n] = dt * x[row * width + n];
        }
    });
    const StepOutput state = cell_.add_step(program, {.q = convolved.y + inner + key,
                                                      .k = convolved.y + inner,
                                                      .v = v,
                                                      .left = left,
                                                      .q_stride = width,
                                                      .k_stride = width,
                                                      .v_stride = inner,
                                                      .shared_keys = true});
    program.parts(inner, [=, x = convolved.y, from = state.y, skip = skip_.tensor().data_ptr<float>()](
                             int64_t row, int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n)
            y[row * inner + n] = from[row * inner + n] + skip[n / value] * x[row * width + n];
    });
    program.rms_norm(norm_, {.x = y, .z = packed, .z_stride = all, .y = normed});
    program.product({.weight = out_, .x = normed, .y = delta});
    return {delta, [convolution = convolved.load, matrix = state.load](const State& from, int64_t row) {
                convolution(from, row);
                matrix(from, row);
            }};
}

double Mamba2Block::flops_per_token(const CostShape&) const {
    return 2 * double(width_) * double(rows() + inner_) + cell_.flops_per_token();
}

double Mamba2Block::activation_numbers_per_token(const CostShape&) const {
    return double(width_) + 8 * double(inner_) + 4 * double(mixed()) + cell_.kept_per_token();
}

}  // namespace lithe

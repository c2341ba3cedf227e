#include "lithe/blocks/delta_projections.h"

namespace lithe {
namespace {

constexpr double kDeviation = 0.02;  // of all matrices and taps
constexpr double kUnitEpsilon = 1e-6;

}  // namespace

void DeltaValues::choose_heads(int64_t size) {
    heads = std::max<int64_t>(1, key_width / size);
    while (key_width % heads || value_width % heads) --heads;
}

void DeltaValues::visit(FieldVisitor& v, const char* heads_help, const char* key_help, const char* value_help) {
    v.field({.name = "heads", .help = heads_help, .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "key_width", .help = key_help, .minimum = 1, .maximum = 1 << 20}, key_width);
    v.field({.name = "value_width", .help = value_help, .minimum = 1, .maximum = 1 << 20}, value_width);
    v.field({.name = "taps", .help = "of the convolution", .minimum = 2, .maximum = 8}, taps);
    v.field(
        {.name = "negative_eigenvalues", .help = "beta goes up to 2, so that a step can turn round what a key holds"},
        negative_eigenvalues);
}

void DeltaValues::check(const ModelConfig&, const std::string& where, Problems& problems) const {
    check_heads(where, "key_width", key_width, heads, problems);
    check_heads(where, "value_width", value_width, heads, problems);
}

DeltaProjections::DeltaProjections(const DeltaValues& values, const BlockSite& site)
    : width_(site.model.width),
      most_(values.negative_eigenvalues ? 2 : 1),
      cell_{.heads = values.heads,
            .key = values.key_width / values.heads,
            .value = values.value_width / values.heads,
            .scale = 1 / std::sqrt(double(values.key_width) / double(values.heads)),
            .products = 3} {
    const int64_t keys = values.key_width, all = values.value_width;
    const Init init = Init::normal(kDeviation);
    qkv_ = site.store.add({site.name + ".qkv", {mixed(), width_}, Role::matrix, init, all % keys ? 1 : 2 + all / keys});
    convolution_ =
        ShortConvolution(site.store, site.name + ".convolution",
                         {.width = mixed(), .taps = values.taps, .bias = false, .silu = true, .deviation = kDeviation});
    beta_ = site.store.add({site.name + ".beta", {values.heads, width_}, Role::matrix, init});
}

ops::MatrixStateInput DeltaProjections::run(const Tensor& x_TBD, const State& before, const Call& call,
                                            State& after) const {
    ops::MatrixStateInput in;
    in.packed_TBX = convolution_.run(at::linear(x_TBD, qkv_.tensor()), before, call, after);
    in.unit = kUnitEpsilon;
    in.beta_TBH = at::sigmoid(at::linear(x_TBD, beta_.tensor()).to(ops::compute_type(x_TBD.scalar_type())));
    if (most_ != 1) in.beta_TBH = in.beta_TBH * most_;
    return in;
}

DeltaProjections::Step DeltaProjections::add_step(StepProgram& program, const float* x) const {
    const int64_t heads = cell_.heads, key = cell_.key, keys = cell_.keys(), all = mixed();
    float *packed = program.vector(all), *qk = program.vector(2 * keys), *beta = program.vector(heads);
    program.product({.weight = qkv_, .x = x, .y = packed});
    program.product({.weight = beta_, .x = x, .y = beta});
    const StepOutput convolved = convolution_.add_step(program, packed);
    program.each_row([=, from = convolved.y, most = float(most_)](int64_t row) {
        for (int64_t head = 0; head < 2 * heads; ++head) {  // of q, then of k
            const float* in = from + row * all + head * key;
            float* to = qk + row * 2 * keys + head * key;
            float squares = float(kUnitEpsilon);
            for (int64_t c = 0; c < key; ++c) squares += in[c] * in[c];
            for (int64_t c = 0; c < key; ++c) to[c] = in[c] / std::sqrt(squares);
        }
        for (int64_t i = row * heads; i < (row + 1) * heads; ++i) beta[i] = most / (1 + std::exp(-beta[i]));
    });
    return {{.q = qk,
             .k = qk + keys,
             .v = convolved.y + 2 * keys,
             .beta = beta,
             .q_stride = 2 * keys,
             .k_stride = 2 * keys,
             .v_stride = all},
            convolved.load};
}

StepOutput DeltaProjections::add_mix(StepProgram& program, const Step& step) const {
    const StepOutput mixed = cell_.add_step(program, step.in);
    return {mixed.y, [convolution = step.load, matrix = mixed.load](const State& from, int64_t row) {
                convolution(from, row);
                matrix(from, row);
            }};
}

double DeltaProjections::flops_per_token() const {
    return 2 * double(width_) * double(mixed() + cell_.heads) + cell_.flops_per_token();
}

double DeltaProjections::activation_numbers_per_token() const {
    // before and behind the convolution
    return double(width_) + 2 * double(mixed()) + cell_.kept_per_token();
}

}  // namespace lithe

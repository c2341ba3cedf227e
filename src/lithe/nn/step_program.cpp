#include "lithe/nn/step_program.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace lithe {
namespace {

void activate(StepProgram::Activation activation, float* y, int64_t begin, int64_t end) {
    const auto each = [&](const auto& of) {
        for (int64_t i = begin; i < end; ++i) y[i] = of(y[i]);
    };
    switch (activation) {
        case StepProgram::Activation::none: break;
        case StepProgram::Activation::relu: return each([](float x) { return std::max(0.0f, x); });
        case StepProgram::Activation::squared_relu: return each([](float x) { return x > 0 ? x * x : 0; });
        case StepProgram::Activation::gelu:
            return each([](float x) { return x * 0.5f * (1 + std::erf(x * 0.70710678f)); });
        case StepProgram::Activation::gelu_tanh:
            return each([](float x) { return x * 0.5f * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x))); });
    }
}

// int8 codes of a row by its largest number: w = scale code.
float quantize_row(const float* from, int64_t count, int8_t* to) {
    float largest = 0;
    for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(from[i]));
    const float scale = largest > 0 ? largest / 127 : 1;
    for (int64_t i = 0; i < count; ++i) to[i] = int8_t(std::lrint(from[i] / scale));
    return scale;
}

}  // namespace

std::pair<int64_t, int64_t> part_of(int64_t size, int member, int members) {
    constexpr int64_t kUnit = 16;
    const int64_t units = (size + kUnit - 1) / kUnit;
    auto border = [&](int64_t m) { return std::min(size, units * m / members * kUnit); };
    return {border(member), border(member + 1)};
}

float* StepProgram::vector(int64_t size) {
    vectors_.emplace_back(size_t(most_rows_ * size), 0.0f);
    return vectors_.back().data();
}

float* StepProgram::carried(int64_t size) {
    carried_.push_back({vector(size), size});
    return carried_.back().numbers;
}

template <class W>
void StepProgram::add_product(const W* weight, const float* scale, const Product& args, int64_t rows, int64_t columns) {
    const kernels::StepProduct<W> product{.weight = weight,
                                          .columns = columns,
                                          .x = args.x,
                                          .y = args.y,
                                          .bias = args.bias ? args.bias.tensor().data_ptr<float>() : nullptr,
                                          .scale = scale,
                                          .rows = rows};
    const int64_t width = rows / args.planes, planes = args.planes;
    const auto from = [=, this](int64_t first) -> Work {  // of one plane
        return [=, this](int member) {
            const auto [begin, end] = part_of(rows - first, member, team_.size());
            kernels::StepProduct<W> now = product;
            now.batch = rows_;
            kernels::step_product(now, first + begin, first + end);
        };
    };
    const auto work = [=, this, activation = args.activation](int member) {
        const auto [begin, end] = part_of(width, member, team_.size());
        kernels::StepProduct<W> now = product;
        now.batch = rows_;
        for (int64_t plane = 0; plane < planes; ++plane) {
            kernels::step_product(now, plane * width + begin, plane * width + end);
            for (int64_t row = 0; row < rows_; ++row)
                activate(activation, now.y + row * rows, plane * width + begin, plane * width + end);
        }
    };
    Operation operation{.work = work, .settled = args.settled, .y = args.y, .y_size = rows};
    if (planes == 1 && args.activation == Activation::none) operation.from = from;
    append(std::move(operation));
}

// Large pieces lie in huge pages (ops/torch.cpp), where a matrix alone would mostly lie in small ones. What is never
// written takes no memory.
int8_t* StepProgram::room_for_codes(int64_t count) {
    constexpr int64_t kPiece = 32 << 20, kLine = 64;
    count = (count + kLine - 1) / kLine * kLine;
    if (count > codes_left_) {
        codes_left_ = std::max(count, kPiece);
        codes_.push_back(at::empty({codes_left_}, at::kChar));
    }
    codes_left_ -= count;
    return codes_.back().data_ptr<int8_t>() + codes_.back().numel() - codes_left_ - count;
}

void StepProgram::product(const Product& args) {
    const Tensor weight = args.weight.tensor().detach();
    ops::check(weight.is_contiguous() && weight.dim() == 2 && weight.scalar_type() == storage_, "step program",
               "weights must be contiguous matrices of one type");
    const int64_t rows = weight.size(0), columns = weight.size(1);
    if (quantize_) {
        Tensor full = weight.to(at::kFloat);
        int8_t* codes = room_for_codes(rows * columns);
        float* scale = vector(rows);
        for (int64_t r = 0; r < rows; ++r)
            scale[r] = quantize_row(full.data_ptr<float>() + r * columns, columns, codes + r * columns);
        return add_product<int8_t>(codes, scale, args, rows, columns);
    }
    if (storage_ == at::kBFloat16)
        return add_product(static_cast<const kernels::bfloat16*>(weight.data_ptr()), nullptr, args, rows, columns);
    add_product(weight.data_ptr<float>(), nullptr, args, rows, columns);
}

void StepProgram::norm(const LayerNorm& norm, const float* x, int64_t size, float* y) {
    const float *gain = norm.gain().data_ptr<float>(), *bias = norm.bias().data_ptr<float>();
    const double epsilon = norm.epsilon();
    each_row([=](int64_t row) { kernels::step_norm(x + row * size, gain, bias, size, epsilon, y + row * size); });
}

void StepProgram::norm(const StackNorm& norm, const float* x, int64_t size, float* y) {
    if (norm.rms()) rms_norm(norm.rms(), {.x = x, .y = y});
    else this->norm(norm.layer(), x, size, y);
}

void StepProgram::parts(int64_t size, PartOfRow work, bool settled) {
    const auto each = [=, this, work = std::move(work)](int member) {
        const auto [begin, end] = part_of(size, member, team_.size());
        for (int64_t row = 0; row < rows_; ++row) work(row, begin, end);
    };
    append({.work = each, .settled = settled});
}

void StepProgram::each_row(std::function<void(int64_t)> work) {
    const auto each = [this, work = std::move(work)](int member) {
        for (int64_t row = member; row < rows_; row += team_.size()) work(row);
    };
    append({.work = each, .by_row = true});
}

float* StepProgram::matrix_state(const MatrixState& args, float* out) {
    const int64_t size = args.heads * args.key * args.value, values = args.heads * args.value;
    float* states = carried(size);
    const int64_t left_row = args.by_channel ? args.heads * args.key : args.heads;
    parts(values, [=](int64_t row, int64_t begin, int64_t end) {
        kernels::step_matrix_state({.key = args.key,
                                    .value = args.value,
                                    .scale = args.scale,
                                    .q = args.q + row * args.q_stride,
                                    .k = args.k + row * args.k_stride,
                                    .v = args.v + row * args.v_stride,
                                    .key_head = args.shared_keys ? 0 : args.key,
                                    .left = args.left ? args.left + row * left_row : nullptr,
                                    .left_head = args.by_channel ? args.key : 1,
                                    .left_channel = args.by_channel ? 1 : 0,
                                    .beta = args.beta ? args.beta + row * args.heads : nullptr,
                                    .state = states + row * size,
                                    .out = out + row * values},
                                   begin, end);
    });
    return states;
}

void StepProgram::rms_norm(const RmsNorm& norm, const HeadNorm& args) {
    const int64_t width = norm.gain().numel(), size = args.heads * width;
    float* scales = vector(args.heads);
    each_row([=, gain = norm.gain().data_ptr<float>(), epsilon = norm.epsilon(), gate = norm.gate()](int64_t row) {
        kernels::rms_norm_forward<float>({.rows = 1,
                                          .heads = args.heads,
                                          .width = width,
                                          .epsilon = epsilon,
                                          .gate = gate,
                                          .x = args.x + row * (args.x_stride > 0 ? args.x_stride : size),
                                          .z = args.z ? args.z + row * args.z_stride : nullptr,
                                          .gain = gain,
                                          .y = args.y + row * (args.y_stride > 0 ? args.y_stride : size),
                                          .scales = scales + row * args.heads});
    });
}

void StepProgram::keep(std::span<const int64_t> rows) {
    std::vector<float> now;
    for (const Carried& each : carried_) {
        now.clear();
        for (const int64_t row : rows) {
            const float* from = each.numbers + row * each.size;
            now.insert(now.end(), from, from + each.size);
        }
        std::copy(now.begin(), now.end(), each.numbers);
    }
    for (const auto& keeper : keepers_) keeper(rows);
    rows_ = int64_t(rows.size());
}

void StepProgram::append(Operation operation) {
    operation.optional = operation.optional || optional_;
    operations_.push_back(std::move(operation));
}

void StepProgram::begin_holding() {
    optional_ = true;
    in_block_ = true;
    block_begin_ = operations_.size();
}

void StepProgram::keep_for_keys(const float* kv) {
    if (!in_block_) return;
    for (size_t i = block_begin_; i < operations_.size(); ++i) {
        Operation& operation = operations_[i];
        operation.optional = false;
        if (!operation.from || !std::greater<>()(kv, operation.y)) continue;
        if (std::less<>()(kv, operation.y + operation.y_size)) operation.when_held = operation.from(kv - operation.y);
    }
}

const float* StepProgram::end_holding(const float* x, const float* y, int64_t size) {
    optional_ = false;
    in_block_ = false;
    float* out = vector(size);
    each_row([=, this](int64_t row) {
        const float* from = held(row) ? x : y;
        std::copy_n(from + row * size, size, out + row * size);
    });
    return out;
}

void StepProgram::optional(const std::function<void()>& add) {
    optional_ = true;
    add();
    optional_ = false;
}

// Everybody meets behind it, and it is never left out: nobody goes on by what was so before.
void StepProgram::settle_held() {
    const auto settle = [this](int member) {
        if (member == 0)
            all_held_ = std::all_of(held_.begin(), held_.begin() + rows_, [](uint8_t h) { return h != 0; });
    };
    append({.work = settle, .settles = true});
}

void StepProgram::run() {
    std::fill(held_.begin(), held_.end(), uint8_t(0));
    all_held_ = false;
    team_.run([this](int64_t member, int64_t) {
        bool all_held = false;  // as it was settled last
        for (size_t i = 0; i < operations_.size(); ++i) {
            const Operation& operation = operations_[i];
            if (all_held && operation.optional) continue;
            const Work& work = all_held && operation.when_held ? operation.when_held : operation.work;
            work(int(member));
            const bool goes_on = operation.by_row && i + 1 < operations_.size() && operations_[i + 1].by_row;
            if (!all_held && (!operation.settled || goes_on)) continue;
            team_.barrier();
            if (operation.settles) all_held = all_held_;
        }
    });
}

}  // namespace lithe

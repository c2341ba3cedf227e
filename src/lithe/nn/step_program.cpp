#include "lithe/nn/step_program.h"

#include <algorithm>
#include <cmath>

namespace lithe {
namespace {

void activate(StepProgram::Activation activation, float* y, int64_t begin, int64_t end) {
    if (activation == StepProgram::Activation::relu)
        for (int64_t i = begin; i < end; ++i) y[i] = std::max(0.0f, y[i]);
    if (activation == StepProgram::Activation::gelu)
        for (int64_t i = begin; i < end; ++i) y[i] *= 0.5f * (1 + std::erf(y[i] * 0.70710678f));
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
    vectors_.emplace_back(size_t(size), 0.0f);
    return vectors_.back().data();
}

template <class W>
void StepProgram::add_product(const W* weight, const float* scale, const Product& args, int64_t rows, int64_t columns) {
    const float* bias = args.bias ? args.bias.tensor().data_ptr<float>() : nullptr;
    const kernels::StepProduct<W> product{weight, columns, args.x, args.y, bias, scale};
    const int64_t width = rows / args.planes, planes = args.planes;
    operations_.push_back({[=, this, activation = args.activation](int member) {
                               const auto [begin, end] = part_of(width, member, team_.size());
                               for (int64_t plane = 0; plane < planes; ++plane) {
                                   kernels::step_product(product, plane * width + begin, plane * width + end);
                                   activate(activation, product.y, plane * width + begin, plane * width + end);
                               }
                           },
                           args.settled});
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
    single([=] { kernels::step_norm(x, gain, bias, size, epsilon, y); });
}

void StepProgram::parts(int64_t size, std::function<void(int64_t, int64_t)> work, bool settled) {
    operations_.push_back({[=, this, work = std::move(work)](int member) {
                               const auto [begin, end] = part_of(size, member, team_.size());
                               work(begin, end);
                           },
                           settled});
}

void StepProgram::single(std::function<void()> work) {
    operations_.push_back({.work = [work = std::move(work)](int) { work(); }, .settled = true, .alone = true});
}

// Keys and values in a ring of memory + 1 rows; each member takes a stretch of it, around the row that the new key will
// take, and member 0 also the new key itself.
namespace {

// Keys and values of the newest positions, and what one query makes of them.
template <class S> struct Ring {
    std::vector<S> rows;
    std::vector<float> scores, highest, sum, out;
    int64_t filled = 0, next = 0;
    std::vector<S> distances;   // [heads][capacity][size]
    std::vector<float> by_age;  // [heads][capacity]
};

// Prepares the rows by distance; the result computes the query's products with them, one for each age of a key.
template <class S>
std::function<void(int)> scores_by_age(const std::shared_ptr<Ring<S>>& ring, const StepProgram::Attention& args,
                                       int members) {
    const int64_t capacity = args.memory + 1, heads = args.heads, size = args.width / heads;
    const Tensor rows = args.distance_r.to(at::kFloat).view({capacity, heads, size}).transpose(0, 1).contiguous();
    ring->distances.resize(size_t(rows.numel())), ring->by_age.resize(size_t(heads * capacity));
    for (int64_t i = 0; i < rows.numel(); ++i)
        kernels::from_compute(rows.data_ptr<float>()[i], ring->distances[size_t(i)]);
    return [=, q = args.distance_q](int member) {
        const int64_t ages = std::min(capacity, ring->filled + 1);
        for (int64_t h = 0; h < heads; ++h)
            kernels::step_product<S>({.weight = ring->distances.data() + h * capacity * size,
                                      .columns = size,
                                      .x = q + h * size,
                                      .y = ring->by_age.data() + h * capacity},
                                     ages * member / members, ages * (member + 1) / members);
    };
}

}  // namespace

template <class S> std::function<void(const Tensor&)> StepProgram::add_attention(const Attention& args) {
    const int64_t capacity = args.memory + 1, width = args.width, heads = args.heads, size = width / heads;
    const int members = team_.size();
    const int64_t parts = 2 * members + 1;
    auto ring = std::make_shared<Ring<S>>();
    ring->rows.resize(size_t(capacity * 2 * width));
    ring->scores.resize(size_t(members * capacity));
    ring->highest.resize(size_t(parts * heads)), ring->sum.resize(size_t(parts * heads));
    ring->out.resize(size_t(parts * width));
    if (args.distance_q) operations_.push_back({scores_by_age<S>(ring, args, members), true});
    const auto scale = float(1 / std::sqrt(double(size)));
    auto attend = [=](int member, int64_t part, int64_t begin, int64_t end) {
        if (begin >= end) return std::fill_n(ring->sum.data() + part * heads, heads, 0.0f), void();
        kernels::step_attend<S>({.heads = heads,
                                 .size = size,
                                 .scale = scale,
                                 .q = args.q,
                                 .k = ring->rows.data(),
                                 .v = ring->rows.data() + width,
                                 .row = 2 * width,
                                 .scores = ring->scores.data() + member * capacity,
                                 .highest = ring->highest.data() + part * heads,
                                 .sum = ring->sum.data() + part * heads,
                                 .out = ring->out.data() + part * width,
                                 .by_age = args.distance_q ? ring->by_age.data() : nullptr,
                                 .ages = capacity,
                                 .newest = begin > ring->next ? ring->next + capacity : ring->next},
                                begin, end);
    };
    operations_.push_back({[=](int member) {
                               const int64_t begin = ring->filled * member / members,
                                             end = ring->filled * (member + 1) / members;
                               const bool holds = ring->next >= begin && ring->next < end;
                               attend(member, 2 * member, begin, holds ? ring->next : end);
                               attend(member, 2 * member + 1, holds ? ring->next + 1 : end, end);
                           },
                           true});
    single([=] {
        S* row = ring->rows.data() + ring->next * 2 * width;
        for (int64_t i = 0; i < 2 * width; ++i) kernels::from_compute(args.kv[i], row[i]);
        attend(0, parts - 1, ring->next, ring->next + 1);
        for (int64_t h = 0; h < heads; ++h)
            kernels::merge_attention(parts, ring->highest.data(), ring->sum.data(), ring->out.data(), h, heads, size,
                                     args.out + h * size);
        ring->filled = std::max(ring->filled, ring->next + 1);
        ring->next = (ring->next + 1) % capacity;
    });
    return [=](const Tensor& projections) {
        ring->filled = ring->next = 0;
        if (!projections.defined()) return;
        Tensor rows = projections.detach().to(at::kFloat).reshape({-1, 2 * width}).contiguous();
        const int64_t count = std::min(rows.size(0), args.memory), first = rows.size(0) - count;
        const float* from = rows.data_ptr<float>() + first * 2 * width;
        for (int64_t i = 0; i < count * 2 * width; ++i) kernels::from_compute(from[i], ring->rows[size_t(i)]);
        ring->filled = ring->next = count;
    };
}

std::function<void(const Tensor&)> StepProgram::attention(const Attention& args) {
    return storage_ == at::kBFloat16 ? add_attention<kernels::bfloat16>(args) : add_attention<float>(args);
}

void StepProgram::run() {
    team_.run([this](int64_t member, int64_t) {
        for (size_t i = 0; i < operations_.size(); ++i) {
            const Operation& operation = operations_[i];
            if (member == 0 || !operation.alone) operation.work(int(member));
            const bool goes_on = operation.alone && i + 1 < operations_.size() && operations_[i + 1].alone;
            if (operation.settled && !goes_on) team_.barrier();
        }
    });
}

}  // namespace lithe

#include "lithe/nn/step_program.h"

#include <algorithm>
#include <cmath>

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
    operations_.push_back({.work = work, .settled = args.settled});
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
    operations_.push_back({.work = each, .settled = settled});
}

void StepProgram::each_row(std::function<void(int64_t)> work) {
    const auto each = [this, work = std::move(work)](int member) {
        for (int64_t row = member; row < rows_; row += team_.size()) work(row);
    };
    operations_.push_back({.work = each, .by_row = true});
}

// Keys and values of a row in a ring of memory + 1 places; each member takes a stretch of it, around the place that the
// new key will take; who has the row takes also the new key itself.
namespace {

template <class S> struct Ring {
    Tensor room;  // what is never written takes no memory
    S* places = nullptr;
    int64_t filled = 0, next = 0;
    int64_t position = 0;                  // of the next key
    std::vector<float> highest, sum, out;  // of parts
    std::vector<float> by_age;             // [heads][capacity]
};

// The rings of all rows, and what they share.
template <class S> struct Rings {
    int64_t capacity, width, heads, size, parts;
    int64_t kept;  // width of keys, and of values
    ops::Rotary rotary;
    std::vector<std::unique_ptr<Ring<S>>> of_row;
    std::vector<float> scores;  // [members][capacity]
    std::vector<S> distances;   // [heads][capacity][size]

    Rings(const StepProgram::Attention& args, int64_t rows, int members)
        : capacity(args.memory + 1),
          width(args.width),
          heads(args.heads),
          size(args.width / args.heads),
          parts(2 * members + 1),
          kept(args.kept_heads > 0 ? args.kept_heads * size : width),
          rotary(args.rotary),
          scores(size_t(members * capacity)) {
        for (int64_t row = 0; row < rows; ++row) of_row.push_back(make());
        if (args.distance_q) set_distances(args.distance_r);
    }

    std::unique_ptr<Ring<S>> make() const {
        auto ring = std::make_unique<Ring<S>>();
        const auto type = sizeof(S) == 2 ? at::kBFloat16 : at::kFloat;
        ring->room = at::empty({capacity * 2 * kept}, at::TensorOptions(type));
        ring->places = static_cast<S*>(ring->room.data_ptr());
        ring->highest.resize(size_t(parts * heads));
        ring->sum.resize(size_t(parts * heads));
        ring->out.resize(size_t(parts * width));
        return ring;
    }

    void set_distances(const Tensor& distance_r) {
        const Tensor rows = distance_r.to(at::kFloat).view({capacity, heads, size}).transpose(0, 1).contiguous();
        distances.resize(size_t(rows.numel()));
        for (int64_t i = 0; i < rows.numel(); ++i)
            kernels::from_compute(rows.data_ptr<float>()[i], distances[size_t(i)]);
        for (auto& ring : of_row) ring->by_age.resize(size_t(heads * capacity));
    }

    void keep(std::span<const int64_t> rows) {
        std::vector<std::unique_ptr<Ring<S>>> now(rows.size());
        std::vector<size_t> doubles;
        std::vector<size_t> holder(of_row.size(), rows.size());  // who took a row's ring
        for (size_t i = 0; i < rows.size(); ++i) {
            const auto from = size_t(rows[i]);
            if (holder[from] == rows.size()) {
                now[i] = std::move(of_row[from]);
                holder[from] = i;
            } else {
                doubles.push_back(i);
            }
        }
        std::vector<std::unique_ptr<Ring<S>>> spare;
        for (auto& ring : of_row)
            if (ring) spare.push_back(std::move(ring));
        for (const size_t i : doubles) {
            now[i] = std::move(spare.back());
            spare.pop_back();
            copy(*now[holder[size_t(rows[i])]], *now[i]);
        }
        for (auto& ring : spare) now.push_back(std::move(ring));
        of_row = std::move(now);
    }

    void copy(const Ring<S>& from, Ring<S>& to) const {
        std::copy_n(from.places, from.filled * 2 * kept, to.places);
        to.filled = from.filled;
        to.next = from.next;
        to.position = from.position;
    }

    // The newest of projections [M][1][2P].
    void load(const Tensor& projections, int64_t row) {
        Ring<S>& ring = *of_row[size_t(row)];
        ring.filled = 0;
        ring.next = 0;
        ring.position = 0;
        if (!projections.defined()) return;
        const Tensor all = projections.detach().to(at::kCPU, at::kFloat).reshape({-1, 2 * kept});
        const int64_t count = std::min(all.size(0), capacity - 1);
        Tensor rows = all.narrow(0, all.size(0) - count, count).clone();
        for (int64_t i = 0; rotary.turned > 0 && i < count; ++i)
            ops::rotary_step(rows.data_ptr<float>() + i * 2 * kept, kept, rotary, i);
        const float* from = rows.data_ptr<float>();
        for (int64_t i = 0; i < count * 2 * kept; ++i) kernels::from_compute(from[i], ring.places[i]);
        ring.filled = count;
        ring.next = count;
        ring.position = count;
    }

    // A member's products of the query with the rows by distance, one for each age of a key.
    void score_ages(Ring<S>& ring, const float* q, int member, int members) const {
        const int64_t ages = std::min(capacity, ring.filled + 1);
        for (int64_t h = 0; h < heads; ++h)
            kernels::step_product<S>({.weight = distances.data() + h * capacity * size,
                                      .columns = size,
                                      .x = q + h * size,
                                      .y = ring.by_age.data() + h * capacity},
                                     ages * member / members, ages * (member + 1) / members);
    }

    // Keys [begin, end) as part number `part`.
    void attend(Ring<S>& ring, const float* q, int member, int64_t part, int64_t begin, int64_t end) {
        if (begin >= end) {
            std::fill_n(ring.sum.data() + part * heads, heads, 0.0f);
            return;
        }
        kernels::step_attend<S>({.heads = heads,
                                 .size = size,
                                 .scale = float(1 / std::sqrt(double(size))),
                                 .q = q,
                                 .k = ring.places,
                                 .v = ring.places + kept,
                                 .row = 2 * kept,
                                 .scores = scores.data() + member * capacity,
                                 .highest = ring.highest.data() + part * heads,
                                 .sum = ring.sum.data() + part * heads,
                                 .out = ring.out.data() + part * width,
                                 .by_age = ring.by_age.empty() ? nullptr : ring.by_age.data(),
                                 .ages = capacity,
                                 .newest = begin > ring.next ? ring.next + capacity : ring.next,
                                 .group = width / kept},
                                begin, end);
    }

    // A member's stretch of the earlier keys.
    void attend_stretch(Ring<S>& ring, const float* q, int member, int members) {
        const int64_t begin = ring.filled * member / members, end = ring.filled * (member + 1) / members;
        const bool holds = ring.next >= begin && ring.next < end;
        attend(ring, q, member, 2 * member, begin, holds ? ring.next : end);
        attend(ring, q, member, 2 * member + 1, holds ? ring.next + 1 : end, end);
    }

    // The new key, and what all parts come to.
    void finish(Ring<S>& ring, const float* q, const float* kv, int member, float* out) {
        S* place = ring.places + ring.next * 2 * kept;
        for (int64_t i = 0; i < 2 * kept; ++i) kernels::from_compute(kv[i], place[i]);
        attend(ring, q, member, parts - 1, ring.next, ring.next + 1);
        for (int64_t h = 0; h < heads; ++h)
            kernels::merge_attention(parts, ring.highest.data(), ring.sum.data(), ring.out.data(), h, heads, size,
                                     out + h * size);
        ring.filled = std::max(ring.filled, ring.next + 1);
        ring.next = (ring.next + 1) % capacity;
        ++ring.position;
    }
};

}  // namespace

template <class S> StepProgram::LoadRow StepProgram::add_attention(const Attention& args) {
    const int members = team_.size();
    const auto rings = std::make_shared<Rings<S>>(args, most_rows_, members);
    const int64_t width = args.width, kv_stride = args.kv_stride, q_stride = args.q_stride;
    if (args.distance_q)
        operations_.push_back({.work = [=, this, q = args.distance_q](int member) {
            for (int64_t row = 0; row < rows_; ++row)
                rings->score_ages(*rings->of_row[size_t(row)], q + row * width, member, members);
        }});
    if (args.rotary.turned > 0)
        each_row([=, q = args.q, kv = args.kv](int64_t row) {
            const int64_t position = rings->of_row[size_t(row)]->position;
            ops::rotary_step(q + row * q_stride, width, rings->rotary, position);
            ops::rotary_step(kv + row * kv_stride, rings->kept, rings->rotary, position);
        });
    operations_.push_back({.work = [=, this, q = args.q](int member) {
        for (int64_t row = 0; row < rows_; ++row)
            rings->attend_stretch(*rings->of_row[size_t(row)], q + row * q_stride, member, members);
    }});
    // as each_row, which does not tell the member
    operations_.push_back({.work =
                               [=, this, q = args.q, kv = args.kv, out = args.out](int member) {
                                   for (int64_t row = member; row < rows_; row += members)
                                       rings->finish(*rings->of_row[size_t(row)], q + row * q_stride,
                                                     kv + row * kv_stride, member, out + row * width);
                               },
                           .by_row = true});
    keepers_.push_back([rings](std::span<const int64_t> rows) { rings->keep(rows); });
    return [rings](const Tensor& projections, int64_t row) { rings->load(projections, row); };
}

StepProgram::LoadRow StepProgram::attention(const Attention& args) {
    return storage_ == at::kBFloat16 ? add_attention<kernels::bfloat16>(args) : add_attention<float>(args);
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

void StepProgram::run() {
    team_.run([this](int64_t member, int64_t) {
        for (size_t i = 0; i < operations_.size(); ++i) {
            const Operation& operation = operations_[i];
            operation.work(int(member));
            const bool goes_on = operation.by_row && i + 1 < operations_.size() && operations_[i + 1].by_row;
            if (operation.settled && !goes_on) team_.barrier();
        }
    });
}

}  // namespace lithe

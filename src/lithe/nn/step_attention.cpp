// Attention of single steps: keys and values of each row in a ring.
#include <cmath>

#include "lithe/nn/step_program.h"

namespace lithe {

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
        place_new(ring, kv);
        attend(ring, q, member, parts - 1, ring.next, ring.next + 1);
        for (int64_t h = 0; h < heads; ++h)
            kernels::merge_attention(parts, ring.highest.data(), ring.sum.data(), ring.out.data(), h, heads, size,
                                     out + h * size);
        go_on(ring);
    }

    // The new key of a query that asks nothing.
    void remember(Ring<S>& ring, const float* kv) {
        place_new(ring, kv);
        go_on(ring);
    }

    void place_new(Ring<S>& ring, const float* kv) const {
        S* place = ring.places + ring.next * 2 * kept;
        for (int64_t i = 0; i < 2 * kept; ++i) kernels::from_compute(kv[i], place[i]);
    }

    void go_on(Ring<S>& ring) const {
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
    if (args.rotary.turned > 0)
        each_row([=, q = args.q, kv = args.kv](int64_t row) {
            const int64_t position = rings->of_row[size_t(row)]->position;
            ops::rotary_step(q + row * q_stride, width, rings->rotary, position);
            ops::rotary_step(kv + row * kv_stride, rings->kept, rings->rotary, position);
        });
    keep_for_keys(args.kv);
    if (args.distance_q)
        append({.work = [=, this, q = args.distance_q](int member) {
            for (int64_t row = 0; row < rows_; ++row)
                rings->score_ages(*rings->of_row[size_t(row)], q + row * width, member, members);
        }});
    append({.work = [=, this, q = args.q](int member) {
        for (int64_t row = 0; row < rows_; ++row)
            rings->attend_stretch(*rings->of_row[size_t(row)], q + row * q_stride, member, members);
    }});
    // as each_row, which does not tell the member
    const auto finish = [=, this, q = args.q, kv = args.kv, out = args.out](int member) {
        for (int64_t row = member; row < rows_; row += members)
            rings->finish(*rings->of_row[size_t(row)], q + row * q_stride, kv + row * kv_stride, member,
                          out + row * width);
    };
    append({.work = finish, .by_row = true});
    operations_.back().optional = false;
    operations_.back().when_held = [=, this, kv = args.kv](int member) {
        for (int64_t row = member; row < rows_; row += members)
            rings->remember(*rings->of_row[size_t(row)], kv + row * kv_stride);
    };
    keepers_.push_back([rings](std::span<const int64_t> rows) { rings->keep(rows); });
    return [rings](const Tensor& projections, int64_t row) { rings->load(projections, row); };
}

StepProgram::LoadRow StepProgram::attention(const Attention& args) {
    return storage_ == at::kBFloat16 ? add_attention<kernels::bfloat16>(args) : add_attention<float>(args);
}

}  // namespace lithe

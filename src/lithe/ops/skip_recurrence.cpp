#include "lithe/ops/skip_recurrence.h"

#include "lithe/base/position_flags.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

// 0 or 1 exactly, and m's own gradient.
Tensor rounded(const Tensor& m, bool straight_through) {
    const Tensor value = m.detach().round();
    return straight_through ? value + (m - m.detach()) : value;
}

struct Skipping {
    const SkipRecurrenceInput& in;
    bool own_h;  // h is no part of c
    at::TensorOptions compute;
    Tensor c, h, p, m;  // [B][D], [B][D] in storage, [B][1], [B][1]

    explicit Skipping(const SkipRecurrenceInput& input)
        : in(input),
          own_h(!kernels::traits_of(input.cell.cell).shows_state),
          compute(input.w_D.options().requires_grad(false)),
          c(input.cell.c0_BD) {
        const int64_t batch = in.cell.u.size(1), width = in.w_D.size(0);
        const auto given = [&](const Tensor& state, double otherwise) {
            return state.defined() ? state.unsqueeze(1) : at::full({batch, 1}, otherwise, compute);
        };
        p = given(in.p0_B, 1);
        m = given(in.m0_B, 0);
        if (own_h) h = (in.h0_BD.defined() ? in.h0_BD : at::zeros({batch, width}, compute)).to(in.cell.u.scalar_type());
    }

    struct Step {
        Tensor h_BD, update_B;
    };
    Step step(const Tensor& u, const Tensor& x, const Tensor& flags) {
        RecurrenceInput cell = in.cell;
        cell.u = u;
        cell.x_TBD = x;
        cell.c0_BD = c;
        cell.flags_TB = flags;
        const RecurrenceOutput candidate = recurrence(cell);
        if (!c.defined()) c = at::zeros_like(candidate.c_BD);
        if (flags.defined()) begin_documents(flags[0].bitwise_and(int64_t(kDocumentBegins)).to(at::kBool).unsqueeze(1));
        const Tensor grown = m + at::minimum(p, 1 - m), update = rounded(grown, in.straight_through);
        const auto chosen = [&](const Tensor& fresh, const Tensor& old) {
            const Tensor gate = update.to(fresh.scalar_type());
            return gate * fresh + (1 - gate) * old;
        };
        const Tensor fresh_p = ((candidate.c_BD * in.w_D).sum(1, true) + in.b_1).sigmoid();
        const Tensor h_before = own_h ? h : c.to(candidate.h_TBD.scalar_type());
        return settle({.c = chosen(candidate.c_BD, c),
                       .h = chosen(candidate.h_TBD[0], h_before),
                       .p = chosen(fresh_p, p),
                       .m = (1 - update) * grown},
                      update, flags);
    }

 private:
    struct After {
        Tensor c, h, p, m;
    };

    void begin_documents(const Tensor& begins) {
        c = c.masked_fill(begins, 0);
        if (own_h) h = h.masked_fill(begins, 0);
        p = p.masked_fill(begins, 1);
        m = m.masked_fill(begins, 0);
    }

    Step settle(const After& now, const Tensor& update, const Tensor& flags) {
        const Tensor pad =
            flags.defined() ? flags[0].bitwise_and(int64_t(kPadding)).to(at::kBool).unsqueeze(1) : Tensor();
        const auto take = [&](Tensor& state, const Tensor& value) {
            state = pad.defined() ? at::where(pad, state, value) : value;
        };
        take(c, now.c);
        if (own_h) take(h, now.h);
        take(p, now.p);
        take(m, now.m);
        if (!pad.defined()) return {now.h, update.squeeze(1)};
        return {now.h.masked_fill(pad, 0), update.masked_fill(pad, 0).squeeze(1)};
    }
};

// Steps of [T][B][...]; of an undefined tensor undefined ones. Splitting keeps the backward pass linear in T.
std::vector<Tensor> steps_of(const Tensor& all, int64_t steps) {
    return all.defined() ? all.split(1, 0) : std::vector<Tensor>(size_t(steps));
}

}  // namespace

SkipRecurrenceOutput skip_recurrence(const SkipRecurrenceInput& in) {
    ProfileScope scope("lithe::skip_recurrence");
    const auto type = in.cell.u.scalar_type();
    const int64_t steps = in.cell.u.size(0), batch = in.cell.u.size(1), width = in.w_D.size(-1);
    check(in.cell.directions == 1 && in.w_D.dim() == 1 && in.b_1.sizes() == at::IntArrayRef({1}), "skip recurrence",
          "expected one direction, w [D] and b [1], got " + shape_of(in.w_D) + " and " + shape_of(in.b_1));
    check(in.cell.u.size(2) == width * kernels::traits_of(in.cell.cell).planes, "skip recurrence",
          "u " + shape_of(in.cell.u) + " does not fit w " + shape_of(in.w_D));
    check_flags(in.cell.flags_TB, in.cell.u, "skip recurrence");
    Skipping at(in);
    const auto u = steps_of(in.cell.u, steps), x = steps_of(in.cell.x_TBD, steps),
               flags = steps_of(in.cell.flags_TB, steps);
    std::vector<Tensor> shown, updates;
    for (int64_t t = 0; t < steps; ++t) {
        const auto step = at.step(u[size_t(t)], x[size_t(t)], flags[size_t(t)]);
        shown.push_back(step.h_BD);
        updates.push_back(step.update_B);
    }
    const auto compute = compute_type(type);
    return {.h_TBD = steps > 0 ? at::stack(shown) : in.cell.u.narrow(2, 0, width),
            .updates_TB = steps > 0 ? at::stack(updates) : at::zeros({0, batch}, at.compute),
            .c_BD = at.c.defined() ? at.c : at::zeros({batch, width}, at.compute),
            .h_BD = at.own_h ? at.h.to(compute) : Tensor(),
            .p_B = at.p.squeeze(1),
            .m_B = at.m.squeeze(1)};
}

}  // namespace lithe::ops

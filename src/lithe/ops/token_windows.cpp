#include "lithe/ops/token_windows.h"

#include "lithe/kernels/short_convolution/short_convolution_steps.h"
#include "lithe/ops/recurrence.h"

namespace lithe::ops {
namespace {

// Rows of [before; x; a row of zeros], all [B] side by side, where the tokens of windows and of what is left lie.
struct Places {
    Tensor windows;  // int64 [k][T][B]
    Tensor last;     // int64 [k - 1][B]
};

Places places_of(const Tensor& flags_TB, int64_t k) {
    const Tensor flags = flags_TB.cpu().contiguous();
    const auto* bits = flags.data_ptr<uint8_t>();
    const int64_t steps = flags.size(0), batch = flags.size(1), kept = k - 1, nowhere = (kept + steps) * batch;
    Places places{at::empty({k, steps, batch}, at::kLong), at::empty({kept, batch}, at::kLong)};
    auto *window = places.windows.data_ptr<int64_t>(), *last = places.last.data_ptr<int64_t>();
    for (int64_t row = 0; row < batch; ++row) {
        const auto place = [&](int64_t step) {
            return step == kernels::kNoStep || step < -kept ? nowhere : (kept + step) * batch + row;
        };
        for (int64_t t = 0; t < steps; ++t) {
            int64_t step = t;
            for (int64_t j = 0; j < k; ++j, step = kernels::step_before(bits, batch, row, step))
                window[(j * steps + t) * batch + row] = place(step);
        }
        int64_t step = kernels::newest_step(bits, batch, row, steps);
        for (int64_t slot = kept - 1; slot >= 0; --slot, step = kernels::step_before(bits, batch, row, step))
            last[slot * batch + row] = place(step);
    }
    return places;
}

}  // namespace

TokenWindows token_windows(const Tensor& x_TBD, const Tensor& before_LBD, const Tensor& flags_TB, int64_t k) {
    check(k >= 2 && x_TBD.dim() == 3, "token_windows", "expected x [T][B][D] and at least 2 tokens");
    check_flags(flags_TB, x_TBD, "token_windows");
    const int64_t steps = x_TBD.size(0), batch = x_TBD.size(1), width = x_TBD.size(2), kept = k - 1;
    const Tensor before =
        before_LBD.defined() ? before_LBD : at::zeros({kept, batch, width}, x_TBD.options().requires_grad(false));
    check(before.sizes() == at::IntArrayRef({kept, batch, width}), "token_windows",
          "earlier tokens " + shape_of(before) + " do not fit x " + shape_of(x_TBD));
    const Tensor all = at::cat({before, x_TBD});
    if (!flags_TB.defined()) {
        std::vector<Tensor> taps;
        for (int64_t j = 0; j < k; ++j) taps.push_back(all.narrow(0, kept - j, steps));
        return {at::cat(taps, -1), all.narrow(0, steps, kept)};
    }
    const Places places = places_of(flags_TB, k);
    const Tensor rows = at::cat({all.view({-1, width}), at::zeros({1, width}, x_TBD.options().requires_grad(false))});
    const auto taken = [&](const Tensor& which) {
        return rows.index_select(0, which.flatten().to(x_TBD.device())).view({-1, batch, width});
    };
    std::vector<Tensor> taps;
    for (int64_t j = 0; j < k; ++j) taps.push_back(taken(places.windows[j]));
    return {at::cat(taps, -1), taken(places.last)};
}

}  // namespace lithe::ops

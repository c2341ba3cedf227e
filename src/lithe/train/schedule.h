// Learning-rate schedules as closed forms of the position on an axis (steps, tokens or seconds).
//
//   wsd: constant, then peak -> final over the last `decay` of T (Hu et al. 2024, MiniCPM, section 4)
//   n < w:  peak (n + unit) / w           warm-up; `unit` is one update's size on the axis, so that the first rate is
//   not 0 constant       peak linear         peak -> final over [w, T] cosine         final + (peak - final) (1 + cos
//   pi (n - w)/(T - w)) / 2 inverse_sqrt   peak sqrt(w / n) recipe         peak (1 + cos(pi n / T)) / (1 + cos(pi (w -
//   1) / T)): the SRU++ recipe's multiplicative cosine, which is
//                  stepped during warm-up too (sru 3.0.0-dev, experiments/srupp_experiments)
#pragma once

#include "lithe/spec/config.h"

namespace lithe {

struct SchedulePosition {
    double at = 0;     // n: on the axis, before the update
    double total = 0;  // T: the budget; 0: none
    double unit = 1;
};

// What a run has spent.
struct Spent {
    int64_t steps = 0, tokens = 0;
    double seconds = 0;
};
// Where that is on the axis of the configuration's schedule; "budget": the share of the budget that ends first.
SchedulePosition schedule_position(const Config& config, const Spent& spent);

double learning_rate(const ScheduleConfig& schedule, double peak, const SchedulePosition& position);

}  // namespace lithe

#include "lithe/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lithe/train/budget.h"

namespace lithe {

SchedulePosition schedule_position(const Config& config, const Spent& spent) {
    const TrainConfig& t = config.train;
    const ScheduleAxis axis = config.schedule.axis;
    struct Budget {
        ScheduleAxis axis;
        double spent, total, unit;
    };
    const Budget budgets[] = {{ScheduleAxis::steps, double(spent.steps), double(t.max_steps), 1},
                              {ScheduleAxis::tokens, double(spent.tokens), double(t.max_tokens), tokens_of_update(t)},
                              {ScheduleAxis::time, spent.seconds, t.max_seconds, 1e-4 * t.max_seconds}};
    SchedulePosition position{0, axis == ScheduleAxis::budget ? 1.0 : 0.0, 1};
    for (const Budget& b : budgets) {
        if (axis == b.axis) position = {b.spent, b.total, b.unit};
        if (axis == ScheduleAxis::budget && b.total > 0 && b.spent / b.total >= position.at) {
            position.unit = b.unit / b.total;
            position.at = b.spent / b.total;
        }
    }
    return position;
}

double learning_rate(const ScheduleConfig& schedule, double peak, const SchedulePosition& position) {
    constexpr double pi = std::numbers::pi;
    const double n = position.at, total = position.total;
    const double warmup = schedule.warmup < 1 ? schedule.warmup * total : schedule.warmup;
    if (n < warmup) return peak * std::min(1.0, (n + position.unit) / warmup);
    const double final_rate = peak * schedule.final_ratio;
    const double share = total > warmup ? std::clamp((n - warmup) / (total - warmup), 0.0, 1.0) : 0.0;
    switch (schedule.name) {
        case ScheduleKind::constant: break;
        case ScheduleKind::linear: return peak + (final_rate - peak) * share;
        case ScheduleKind::cosine: return final_rate + (peak - final_rate) * 0.5 * (1 + std::cos(pi * share));
        case ScheduleKind::wsd:
            return peak + (final_rate - peak) * std::clamp(1 - (total - n) / (schedule.decay * total), 0.0, 1.0);
        case ScheduleKind::inverse_sqrt:
            return peak * std::sqrt(std::max(warmup, position.unit) / std::max(n, std::max(warmup, position.unit)));
        case ScheduleKind::recipe: {
            const double start = warmup > 0 ? 1 + std::cos(pi * (warmup - position.unit) / total) : 2;
            return peak * (1 + std::cos(pi * std::min(n, total) / total)) / start;
        }
    }
    return peak;
}

}  // namespace lithe

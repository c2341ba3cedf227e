#include "lithe/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lithe {

double learning_rate(const ScheduleConfig& schedule, double peak, const SchedulePosition& position) {
    constexpr double pi = std::numbers::pi;
    const double n = position.at, total = position.total;
    const double warmup = schedule.warmup < 1 ? schedule.warmup * total : schedule.warmup;
    if (n < warmup) return peak * std::min(1.0, (n + position.unit) / warmup);
    const double final_rate = peak * schedule.final_ratio;
    const double share = total > warmup ? std::clamp((n - warmup) / (total - warmup), 0.0, 1.0) : 0.0;
    if (schedule.name == "wsd")
        return peak + (final_rate - peak) * std::clamp(1 - (total - n) / (schedule.decay * total), 0.0, 1.0);
    if (schedule.name == "linear") return peak + (final_rate - peak) * share;
    if (schedule.name == "cosine") return final_rate + (peak - final_rate) * 0.5 * (1 + std::cos(pi * share));
    if (schedule.name == "inverse_sqrt")
        return peak * std::sqrt(std::max(warmup, position.unit) / std::max(n, std::max(warmup, position.unit)));
    if (schedule.name == "recipe") {
        const double start = warmup > 0 ? 1 + std::cos(pi * (warmup - position.unit) / total) : 2;
        return peak * (1 + std::cos(pi * std::min(n, total) / total)) / start;
    }
    return peak;
}

}  // namespace lithe

// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 0.964501, kSizeFactor = 14.4204, kSizePower = 0.48912, kDataFactor = 7.42626,
                        kDataPower = 0.147443, kRepeatLoss = 0.0279198, kRowsLoss = 0.00398934,
                        kDifficultyPower = 0.396179, kReferencePackedBits = 2.4669, kSpread = 0.019769;

}  // namespace lithe::fitted

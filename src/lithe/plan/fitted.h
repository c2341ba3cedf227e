// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 0.493356, kSizeFactor = 1.17141, kSizePower = 0.0351017, kDataFactor = 15.1507,
                        kDataPower = 0.222071, kRepeatLoss = 0.0154681, kRowsLoss = 0.00489827,
                        kDifficultyPower = 3.97532, kReferencePackedBits = 2.4669, kSpread = 0.0108286;

}  // namespace lithe::fitted

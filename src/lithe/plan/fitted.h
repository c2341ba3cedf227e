// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 1.1, kSizeFactor = 10, kSizePower = 0.3, kDataFactor = 50, kDataPower = 0.3;
inline constexpr double kRepeats = 10, kRowsLoss = 0.005, kReferencePackedBits = 2.9, kDifficultyPower = 1.0;
inline constexpr double kSpread = 0.02;

}  // namespace lithe::fitted

// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 1.10653, kSizeFactor = 4.14291, kSizePower = 0.347107, kDataFactor = 10.1852,
                        kDataPower = 0.185326, kRepeatLoss = 0.0273205, kRowsLoss = 0.00538712,
                        kDifficultyPower = 0.712922, kReferencePackedBits = 2.4669, kSpread = 0.0121185;

}  // namespace lithe::fitted

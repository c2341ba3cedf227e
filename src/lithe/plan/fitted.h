// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 1.19737, kSizeFactor = 1.29, kSizePower = 0.211976, kDataFactor = 16.7854,
                        kDataPower = 0.234304, kRepeatLoss = 0.0155256, kRowsLoss = 0.00403297,
                        kDifficultyPower = 0.856066, kLearnedPower = -0.269898, kShortFactor = 2.17999,
                        kRepeatPower = 0.132043, kReferencePackedBits = 2.4669, kSpread = 0.00769909;

}  // namespace lithe::fitted

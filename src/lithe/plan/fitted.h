// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 0.976633, kSizeFactor = 5.55504, kSizePower = 0.347795, kDataFactor = 10.2285,
                        kDataPower = 0.172865, kRepeats = 0.135335, kRowsLoss = 0.0047992, kDifficultyPower = 0.390749,
                        kReferencePackedBits = 2.5918, kSpread = 0.0207573;

}  // namespace lithe::fitted

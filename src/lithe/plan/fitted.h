// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 1.25971, kSizeFactor = 0.76551, kSizePower = 0.152958, kDataFactor = 18.1495,
                        kDataPower = 0.248327, kRepeatLoss = 0.0163786, kRowsLoss = 0.0072218,
                        kLearnedPower = -0.800186, kShortFactor = 2.54729, kRepeatPower = 0.18331,
                        kStreamsLoss = 0.0177707, kLongRepeatLoss = 0.090331, kDifficultyPower = 1.81617,
                        kReferencePackedBits = 1.9454, kSpread = 0.079201;

}  // namespace lithe::fitted

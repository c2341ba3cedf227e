// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 1.24155, kSizeFactor = 0.854587, kSizePower = 0.170089, kDataFactor = 19.5158,
                        kDataPower = 0.253648, kRepeatLoss = 0.0159498, kRowsLoss = 0.00745896,
                        kLearnedPower = -0.759919, kShortFactor = 2.56266, kRepeatPower = 0.175428,
                        kStreamsLoss = 0.0177919, kLongRepeatLoss = 0.089823, kDifficultyPower = 1.64074,
                        kReferencePackedBits = 1.9454, kSpread = 0.0845606;

}  // namespace lithe::fitted

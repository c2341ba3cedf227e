// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 1.29196, kSizeFactor = 0.82822, kSizePower = 0.15828, kDataFactor = 33.0002,
                        kDataPower = 0.301487, kRepeatLoss = 0.0159941, kRowsLoss = 0.00527948,
                        kLearnedPower = -0.437081, kShortFactor = 2.49844, kRepeatPower = 0.17986,
                        kStreamsLoss = 0.0252857, kDifficultyPower = 1.08827, kReferencePackedBits = 1.9454,
                        kSpread = 0.0784068;

}  // namespace lithe::fitted

// Made by bench/fit_planner.py from bench/runs/planner.tsv. Do not edit.
#pragma once

namespace lithe::fitted {

inline constexpr double kFloor = 1.14239, kSizeFactor = 0.965253, kSizePower = 0.150588, kDataFactor = 17.6745,
                        kDataPower = 0.239264, kRepeatLoss = 0.0177022, kRowsLoss = 0.00305981, kLearnedPower = 0,
                        kShortFactor = 2.13903, kRepeatPower = 0.19452, kDifficultyPower = 1.29393,
                        kReferencePackedBits = 1.9454, kLongRepeatLoss = 0.409771, kSpread = 0.0596618;

}  // namespace lithe::fitted

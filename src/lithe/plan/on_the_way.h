// Made by bench/on_the_way.py from bench/runs/on-the-way.tsv. Do not edit.
#pragma once

namespace lithe::on_the_way {

inline constexpr double kHighRate = -0.01173, kSpread = 0.09023;

}  // namespace lithe::on_the_way

// The models that `bench train`, `generate` and `evaluate` measure, and the loop over them.
#pragma once

#include <functional>

#include "lithe/cli/bench.h"
#include "lithe/data/random_text.h"
#include "lithe/objectives/objective.h"
#include "lithe/ops/torch.h"
#include "lithe/spec/config.h"

namespace lithe {

struct BenchRow {
    std::string name;
    std::string config;  // text of a configuration; empty: that of row `like`, with `set`
    std::string like, set;
};

Config config_of(const BenchRow& row);
int64_t vocabulary_of(const Config& config);
// What the row is trained for, on bytes.
std::unique_ptr<Objective> objective_of(const Config& config);
// Steps until the memory is full and LibTorch has settled.
int64_t warm_up_steps(const Config& config);
// [length][batch] of made-up ids (data/random_text.h).
Tensor random_ids(int64_t length, int64_t batch, uint64_t key, int64_t vocabulary);

using BenchTimer = std::function<nlohmann::ordered_json(const BenchRow&, const std::string& precision,
                                                        const BenchFlags&, const Ceiling&)>;
// `products`: the ceiling is that of matrix products, and int8 is no precision.
int run_rows(const BenchFlags& flags, const CommandContext& context, bool products, const BenchTimer& time);

}  // namespace lithe

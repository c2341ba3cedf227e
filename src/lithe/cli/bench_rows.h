// The models that `bench train`, `generate` and `evaluate` measure, and the loop over them.
#pragma once

#include <functional>

#include "lithe/cli/bench.h"
#include "lithe/data/batch.h"
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
// Text-like ids: skewed, so that caches behave as in training. Number `i` of a text, and [length][batch] of them.
int64_t random_id(uint64_t key, uint64_t i, int64_t vocabulary);
Tensor random_ids(int64_t length, int64_t batch, uint64_t key, int64_t vocabulary);
Batch random_batch(const Config& config, uint64_t key, int64_t vocabulary);

using BenchTimer = std::function<nlohmann::ordered_json(const BenchRow&, const std::string& precision,
                                                        const BenchFlags&, const Ceiling&)>;
// `products`: the ceiling is that of matrix products, and int8 is no precision.
int run_rows(const BenchFlags& flags, const CommandContext& context, bool products, const BenchTimer& time);

}  // namespace lithe

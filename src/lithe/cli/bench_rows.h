// The models that `bench train`, `generate` and `evaluate` measure, and the loop over them.
#pragma once

#include <functional>

#include "lithe/cli/bench.h"
#include "lithe/data/token_view.h"
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

// Such ids as a text, in documents that fit into a segment.
class RandomText : public TokenView {
 public:
    RandomText(uint64_t size, const Config& config);
    uint64_t size() const override { return size_; }
    uint64_t bytes() const override { return size_; }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override;
    uint64_t documents() const override;
    uint64_t document_begin(uint64_t number) const override { return number * document_; }

 private:
    uint64_t size_, document_;
    int64_t vocabulary_;
};

using BenchTimer = std::function<nlohmann::ordered_json(const BenchRow&, const std::string& precision,
                                                        const BenchFlags&, const Ceiling&)>;
// `products`: the ceiling is that of matrix products, and int8 is no precision.
int run_rows(const BenchFlags& flags, const CommandContext& context, bool products, const BenchTimer& time);

}  // namespace lithe

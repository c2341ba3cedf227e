// The input of the golden tests of attention, and a block one of whose heads takes it as queries, keys and values.
#pragma once

#include <gtest/gtest.h>

#include "support/block_maker.h"
#include "support/errors.h"

namespace lithe::testing {

// What golden lines give: three numbers of the output, their sum and that of absolute values.
struct Numbers {
    double first, middle, last, sum, magnitude;
};

inline void expect_numbers(const Tensor& out, const Numbers& expected, at::ScalarType type = at::kDouble) {
    const double tolerance = type == at::kDouble ? 1e-9 : 1e-5 * expected.magnitude;
    EXPECT_NEAR(out[0][0].item<double>(), expected.first, tolerance);
    EXPECT_NEAR(out[7][2].item<double>(), expected.middle, tolerance);
    EXPECT_NEAR(out[out.size(0) - 1][3].item<double>(), expected.last, tolerance);
    EXPECT_NEAR(out.sum().item<double>(), expected.sum, tolerance);
    EXPECT_NEAR(out.abs().sum().item<double>(), expected.magnitude, tolerance);
}

// What a head computes beside the four products of queries, keys, values and output, by the declared cost: each pair is
// a product of a head's size for its score and one for its value.
inline double pairs_of(const MadeBlock& made, int64_t n, bool causal) {
    const auto d = double(made.model.width);
    const double flops = made.block->flops_per_token({.length = n, .causal = causal});
    return (flops - 8 * d * d) * double(n) / (4 * d);
}

struct GoldenHead {
    static constexpr int64_t kSteps = 16, kSize = 4, kHeads = 3, kWidth = kSize * kHeads;
    using Options = std::vector<std::pair<const char*, const char*>>;

    // Queries, keys and values of one head side by side, [16][1][12].
    static Tensor input() {
        const Tensor i = at::arange(kSteps, at::kDouble).unsqueeze(1), j = at::arange(kSize, at::kDouble).unsqueeze(0);
        const Tensor q = at::sin(0.7 * i + 1.3 * j + 0.1), k = at::cos(0.5 * i - 0.9 * j + 0.2),
                     v = at::sin(1.1 * i - 0.6 * j + 0.3);
        return at::cat({q, k, v}, 1).unsqueeze(1);
    }
    static Pass pass(bool causal) {
        Pass made;
        made.causal = causal;
        return made;
    }

    std::unique_ptr<MadeBlock> made;
    bool causal;
    int64_t head;
    at::ScalarType type;

    // Its other heads have nothing.
    GoldenHead(const char* kind, const Options& options, bool causal_, int64_t head_ = 0,
               at::ScalarType type_ = at::kDouble, const char* name = "b")
        : causal(causal_),
          head(head_),
          type(type_) {
        ModelConfig model;
        model.width = kWidth;
        if (!causal) model.direction = Direction::bidirectional;
        std::vector<RawValue> values = {{"heads", std::to_string(kHeads), "test"}};
        for (const auto& [key, text] : options) {
            if (std::string(key) == "heads") values.clear();
            values.push_back({key, text, "test"});
        }
        made = std::make_unique<MadeBlock>(*find_block_kind(kind), model, values, type, 1, at::kCPU, name);
        Tensor weights = at::zeros({3 * kWidth, kWidth}, at::kDouble);
        for (int64_t part = 0; part < 3; ++part)
            for (int64_t n = 0; n < kSize; ++n) weights[part * kWidth + head * kSize + n][part * kSize + n] = 1;
        made->set("qkv", weights);
        made->set("out", at::eye(kWidth, at::kDouble));
    }
    // That head's output, [16][4].
    Tensor run(const Tensor& x_TBD = input()) const {
        const Tensor out = made->block->branch(x_TBD.to(type), {}, pass(causal)).delta_TBD;
        return out.detach().squeeze(1).narrow(1, head * kSize, kSize);
    }
    double pairs(int64_t n) const { return pairs_of(*made, n, causal); }
};

}  // namespace lithe::testing

// The recurrence of kinds whose state is a matrix for each head: the carried state, single steps, cost. Formula:
// kernels/matrix_state/matrix_state.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "lithe/blocks/block.h"
#include "lithe/ops/matrix_state.h"

namespace lithe {

struct MatrixStateCell {
    int64_t heads = 1;
    int64_t key = 1, value = 1;  // of a head
    double scale = 1;
    bool is_mixture = true;  // false: its user divides what it gives, and shows that (blocks/look.h)
    int products = 2;        // of a row with the state, each step: 3 with the delta rule, 4 with rows of RWKV-7's kind

    int64_t keys() const { return heads * key; }
    int64_t values() const { return heads * value; }

    // `in` has q, k, v, decays and what corrects them -> out [T][B][heads value]; puts the carried state into `after`.
    Tensor run(ops::MatrixStateInput in, const State& before, const Call& call, State& after) const;
    // `in` has q, k, v, decays and their distances -> out [heads value].
    StepOutput add_step(StepProgram& program, StepProgram::MatrixState in) const;

    double flops_per_token() const { return 2 * double(products) * double(heads) * double(key) * double(value); }
    // Kept states, as fp32 numbers over the steps between them.
    double kept_per_token() const;
};

// Sizes that hold whole heads, or a sentence.
void check_heads(const std::string& where, const char* what, int64_t width, int64_t heads, Problems& problems);

// Of parts of a step program.
inline float silu(float x) { return x / (1 + std::exp(-x)); }
// log sigmoid(x), also far below 0
inline float log_sigmoid(float x) { return std::min(x, 0.0f) - std::log1p(std::exp(-std::abs(x))); }
inline float softplus(float x) { return std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x))); }

// Where step sizes and decays begin, from a number uniform in [0, 1): log-uniform from 0.001 to 0.1, through the
// inverse of softplus; the log of a number uniform from 1 to 16.
double first_dt_bias(double unit);
double first_log_a(double unit);

}  // namespace lithe

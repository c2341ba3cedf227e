// S4D (Gu et al. 2022, "On the Parameterization and Initialization of Diagonal State Space Models"; state-spaces/s4,
// models/s4/s4d.py): a state space for each channel, whose matrix is diagonal.
//
//   dt = exp(log_dt), A = -exp(log_a) + i w            a = e^{A dt}, b = (a - 1) / A, by zero-order hold
//   s_t = a s_{t-1} + x_t                              y_t = 2 Re sum_n c_n b_n s_t,n + D x_t
//   delta = v s(g) of [g, v] = dropout(gelu(y)) W^T + b_out
//
// With N = `states` numbers of a channel: log_dt, D [d]; log_a, w [N / 2][d]; c [2][N / 2][d], re and im; W [2 d][d].
// `start` says where A begins, n = 0 ... N / 2 - 1: lin -1/2 + i pi n, inv -1/2 + i N/pi (N / (2 n + 1) - 1), or real:
// A and c are real, N of them, from -(n + 1) on, and y has no factor 2. As in the source c decays, and log_dt, log_a
// and w do not. The norm before it and the skip are the layout's.
#pragma once

#include "lithe/blocks/options.h"

namespace lithe {

enum class S4dStart { lin, inv, real };
constexpr auto names_of(S4dStart) {
    using enum S4dStart;
    return std::to_array<Named<S4dStart>>({{lin, "lin"}, {inv, "inv"}, {real, "real"}});
}

struct S4dValues {
    int64_t states = 64;
    S4dStart start = S4dStart::lin;
    double dropout = 0;
    static S4dValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class S4dBlock : public Block {
 public:
    S4dBlock(const S4dValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    // A state's decay and what it is read by, [P][N][d].
    struct Discrete {
        Tensor a, c;
    };
    bool real() const { return values_.start == S4dStart::real; }
    int64_t numbers() const { return real() ? values_.states : values_.states / 2; }  // of A in a channel
    Discrete discrete() const;

    S4dValues values_;
    int64_t width_;
    Parameter log_dt_, log_a_, w_, c_, d_, out_, bias_;
};

}  // namespace lithe

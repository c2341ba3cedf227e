// Performer's attention, FAVOR+ (Choromanski et al. 2021, sections 2 and 3): softmax's kernel is estimated by products
// of positive features of random directions w_r.
//
//   softmax: phi(x)_r = exp(w_r . x' - |x'|^2 / 2)      relu: phi(x)_r = max(0, w_r . x') + 1e-3      x' = x /
//   d_h^(1/4) o_i = phi(q_i)^T S_i / (phi(q_i) . z_i), where S_i and z_i are the sums of phi(k_j) v_j^T and of phi(k_j)
//   over j <= i, or bidirectional over all j; z is one more column of S, of ones in v relu without directions (features
//   = 0): phi(x) = max(0, x) + 1e-3, as in Long-Range Arena
//
// Exponents stand behind their maximum, which cancels: a query's own, and of keys the largest of the head so far, to
// which S is scaled as it grows: e^(M_{t-1} - M_t) is a decay. `epsilon` is added to features behind the maximum of
// w_r . x', as in the released codes; that does not cancel, so that only encoders have it.
//
// Directions are blocks of orthogonal rows, each as long as a normal vector is; all heads share them. They are drawn by
// counter from seed, layer and the number of the draw: in training a new one after every `redraw` updates, when carried
// sums are forgotten. Evaluation and generation have the first draw.
#pragma once

#include <memory>
#include <mutex>

#include "lithe/blocks/attention_projections.h"
#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"

namespace lithe {

enum class PerformerKernel { softmax, relu };
constexpr auto names_of(PerformerKernel) {
    using enum PerformerKernel;
    return std::to_array<Named<PerformerKernel>>({{softmax, "softmax"}, {relu, "relu"}});
}

struct PerformerValues {
    int64_t heads = 1;
    bool bias = false;
    PerformerKernel kernel = PerformerKernel::softmax;
    int64_t features = 256;
    int64_t redraw = 0;
    int64_t seed = 0;
    double epsilon = 0;
    static PerformerValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

// Directions [rows][columns], fp64 in memory, a pure function of the key.
Tensor orthogonal_directions(int64_t rows, int64_t columns, uint64_t key);

class PerformerBlock : public Block {
 public:
    PerformerBlock(const PerformerValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

    // What heads make of queries, keys and values side by side, [T][B][3 d], by these directions (undefined: none).
    Tensor mixed(const Tensor& qkv_TBX, const Tensor& directions, const State& state, const Call& call,
                 State& after) const;
    // Of the draw with this number.
    Tensor directions(int64_t draw) const;

 private:
    struct Softmax {  // phi = exp(exponents)
        Tensor exponents_TBHK;
        Tensor bounds_TBHK;  // what its maximum is taken of
    };
    Softmax softmax(const Tensor& x_TBHN, const Tensor& directions) const;
    Tensor relu(const Tensor& x_TBHN, const Tensor& directions) const;
    // Writes q, k and, where causal, g.
    void put_softmax(ops::MatrixStateInput& in, const Softmax& q, const Softmax& k, const State& before,
                     const Pass& pass, State& after) const;
    State without_other_draws(const State& before, int64_t draw, const Tensor& like, State& after) const;

    PerformerValues values_;
    int64_t width_;
    MatrixStateCell cell_;  // its keys: features; its values: a head's, and a one
    uint64_t key_;
    StackedProjection qkv_, out_;
    struct Drawn {
        int64_t number;
        Tensor directions;
    };
    mutable std::mutex mutex_;
    mutable std::shared_ptr<const Drawn> drawn_;  // the last draw that was asked for
};

}  // namespace lithe

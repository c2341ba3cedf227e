// minGRU and minLSTM (Feng et al. 2024, "Were RNNs All We Needed?", sections 3.1 and 3.2, appendix A): gates that see
// the input alone, so that nothing but element-wise work is left in the loop over time.
//
//   v, z = x W^T + b            h_t = (1 - s(z)) h_{t-1} + s(z) g(v)                                  (minGRU)
//   v, f, i = x W^T + b         h_t = f' h_{t-1} + (1 - f') g(v),  f' = s(f) / (s(f) + s(i))          (minLSTM)
//   y = h W_out^T + b_out where the recurrence is wider than the model, else h       g: kernels/recurrence/recurrence.h
//
// W [planes E][d], E = expansion x width. As in lucidrains/minGRU-pytorch the product out is left out where E = d.
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/blocks/recurrent_cell.h"

namespace lithe {

struct MinRnnValues {
    int64_t expansion = 1;
    bool bias = false;
    UpdateValues updates;
    static MinRnnValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string& where, Problems& problems) const {
        updates.check(where, problems);
    }
};

class MinRnnBlock : public Block {
 public:
    MinRnnBlock(kernels::Cell cell, const MinRnnValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    double planes() const { return kernels::traits_of(cell_).planes; }

    kernels::Cell cell_;
    int64_t width_, inner_;
    Parameter w_, bias_, w_out_, bias_out_;
    UpdateGate gate_;
};

struct MinGruBlock : MinRnnBlock {
    MinGruBlock(const MinRnnValues& values, const BlockSite& site)
        : MinRnnBlock(kernels::Cell::min_gru, values, site) {}
};
struct MinLstmBlock : MinRnnBlock {
    MinLstmBlock(const MinRnnValues& values, const BlockSite& site)
        : MinRnnBlock(kernels::Cell::min_lstm, values, site) {}
};

}  // namespace lithe

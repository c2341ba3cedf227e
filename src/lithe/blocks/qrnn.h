// QRNN, the quasi-recurrent network (Bradbury et al. 2017, "Quasi-Recurrent Neural Networks", sections 2 and 2.1;
// salesforce/pytorch-qrnn). The output replaces the input.
//
//   z, f[, o[, i]] = [x_t, x_{t-1}, ..., x_{t-k+1}] W^T + b,  k = window      z' = tanh(z), f' = s(f), o' = s(o), i' =
//   s(i) f-pooling    h_t = f' h_{t-1} + (1 - f') z' fo-pooling   c_t = f' c_{t-1} + (1 - f') z',  h_t = o' c_t
//   ifo-pooling  c_t = f' c_{t-1} + i' z',        h_t = o' c_t
//
// W [planes d][k d], b [planes][d]. With gate = "admit", as in the code, f' lets in: h_t = f' z' + (1 - f') h_{t-1}.
// Zoneout: in training, with this probability, a unit keeps its c for a step; gates that admit count (1 - zoneout) s(f)
// outside of training, as in the code, and those that forget s(f), as in the paper.
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/blocks/recurrent_cell.h"

namespace lithe {

enum class QrnnPooling { f, fo, ifo };
constexpr auto names_of(QrnnPooling) {
    using enum QrnnPooling;
    return std::to_array<Named<QrnnPooling>>({{f, "f"}, {fo, "fo"}, {ifo, "ifo"}});
}

// What f' = 1 does: keep the state (the paper), or take the new value (the code).
enum class QrnnGate { forget, admit };
constexpr auto names_of(QrnnGate) {
    using enum QrnnGate;
    return std::to_array<Named<QrnnGate>>({{forget, "forget"}, {admit, "admit"}});
}

struct QrnnValues {
    int64_t window = 1;
    QrnnPooling pooling = QrnnPooling::fo;
    QrnnGate gate = QrnnGate::forget;
    double zoneout = 0;
    UpdateValues updates;
    static QrnnValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string& where, Problems& problems) const;
    kernels::Cell cell() const;
};

class QrnnBlock : public Block {
 public:
    QrnnBlock(const QrnnValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    double alpha(bool training) const;
    // Shuts the gate of units that keep their state.
    void zone_out(const Tensor& u, const Call& call) const;

    QrnnValues values_;
    int64_t width_, planes_;
    Parameter w_, bias_;
    UpdateGate gate_;
};

}  // namespace lithe

// Recurrences with a matrix for a state as a differentiable operator. Formulas: kernels/matrix_state/matrix_state.h,
// and delta_state.h with the delta rule.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct MatrixStateInput {
    // Numbers of a token lie side by side; other distances are free. All of one type.
    Tensor q_TBHK, k_TBHK;  // one head for all, or each its own
    Tensor v_TBHV;
    Tensor packed_TBX;  // instead of them: q, k, v side by side, [heads key], [heads key], [heads value]
    Tensor g_TBX;       // logarithms of decays, fp32 (fp64 for fp64): [heads], or [heads key]; undefined: none
    Tensor gates_TBX;   // instead of them, of v's type: g = log sigmoid(gates) / temperature
    double temperature = 1;
    Tensor beta_TBH;  // the delta rule's, fp32 (fp64 for fp64); undefined: values are added, whatever stands there
    Tensor a_TBHK, b_TBHK;  // instead of it: what is read and where it is taken off, of v's type
    Tensor admit_TBH;       // with a decay for each head: logarithms of input gates, and a normaliser; as g in type
    Tensor start_BHKV;      // fp32 (fp64 for fp64); undefined: zeros
    Tensor start_sums_BHX;  // with admit: n and m that stand beside it, [key + 1]; undefined: nothing
    Tensor flags_TB;        // uint8, base/position_flags.h; undefined: none
    int64_t heads = 1, key = 0, value = 0;
    double scale = 1;
    double unit = 0;  // above 0: q and k are divided by sqrt(|x|^2 + unit) for each head first
};

struct MatrixStateOutput {
    Tensor out_TBX;     // [heads value]
    Tensor state_BHKV;  // behind the last step
    Tensor sums_BHX;    // with admit: n and m that stand beside it
};

// Gradients flow to q, k, v, decays, beta, a, b, admit and the state at the start. A state with sums is to be used as a
// start is, S and n with their m: m's own gradient counts for nothing. Throws when shapes or types do not fit.
MatrixStateOutput matrix_state(const MatrixStateInput& input);

}  // namespace lithe::ops

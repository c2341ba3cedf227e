// Element-wise recurrences in time: a column (a row of the batch, one unit) carries one number c and meets no other.
//
//   c_t, h_t = cell(u_t, x_t, c_{t-1}; w)          u: what products made of the input, some planes of the width
//
// sigmoid(x) is written s(x); products are element by element; planes are counted from 0 in this order:
//
//   sru ...     u0, f, r[, skip]   f_t = s(u1 + w0 c + w2), r_t = s(u2 + w1 c + w3), c_t = f_t c + (1 - f_t) u0,
//                                  h_t = x' + (g(c_t) - x') m r_t       (Lei et al. 2018, eq. 1-4; Lei 2021, section 3)
//                                  x' = alpha x (sru), u3 (sru_projected) or 0 (sru_bare); g tanh in ..._tanh
//   min_gru     v, z               c_t = h_t = (1 - s(z)) c + s(z) g(v),     g(v) = v + 1/2 for v >= 0, else s(v)
//   min_lstm    v, f, i            f' = s(f) / (s(f) + s(i)),  c_t = h_t = f' c + (1 - f') g(v)
//                                  (Feng et al. 2024, "Were RNNs All We Needed?", section 3 and appendix A)
//   lrn         p, q, r            c_t = h_t = tanh(s(p + w0 + c) (r + w2) + s(q + w1 - c) c)
//   lrn_linear                     the same without tanh                   (Zhang, Sennrich 2019, eq. 6-8)
//   ssru        v, f               f' = s(f + w0),  c_t = f' c + (1 - f') v,  h_t = max(0, c_t)
//                                  (Kim et al. 2019, "From Research to Production and Back", section 3.1)
//   rg_lru      r, i; x            log a = w0 s(r + w1),  c_t = h_t = a c + sqrt(1 - a^2) s(i + w2) x,  w0 < 0; the
//   root
//                                  is 1 where a document begins (with `whole_start`), and its slope is at most 1000
//                                  (De et al. 2024, "Griffin", section 2.4; transformers, RecurrentGemmaRglru)
//   qrnn_f      z, f               f' = s(f + w1),  c_t = h_t = f' c + (1 - f') tanh(z + w0)
//   qrnn_fo     z, f, o            the same, h_t = s(o + w2) c_t
//   qrnn_ifo    z, f, o, i         c_t = f' c + s(i + w3) tanh(z + w0),  h_t = s(o + w2) c_t
//   qrnn_admit_f, qrnn_admit_fo    the gate lets in instead of keeping: f' = 1 - alpha s(f + w1)
//                                  (Bradbury et al. 2017, eq. 3-5; the last two: salesforce/pytorch-qrnn)
//
// At a padded step c_t = c_{t-1} and h_t = 0; at a reset step c_{t-1} counts as 0 (a document begins).
//
// Layout, row-major, last index fastest; D = directions x width:
//   u [T][B][directions][planes][width]   x, h [T][B][D]   c [T][B][D]   each w [D]   c0, c_last, mask [B][D]
// Direction 1 walks time backwards. Storage is float, bfloat16 or double; c and everything per column is
// Compute<Storage>. Gates are computed anew in the backward pass from u and the saved c.
//
// A cell is an enumerator, a row of traits_of(), a struct in cells.h and its formula in recurrence_ref.cpp.
#pragma once

#include <cstdint>

#include "lithe/base/position_flags.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

enum class Cell : int {
    sru,
    sru_tanh,
    sru_projected,
    sru_projected_tanh,
    sru_bare,
    sru_bare_tanh,
    min_gru,
    min_lstm,
    lrn,
    lrn_linear,
    ssru,
    rg_lru,
    qrnn_f,
    qrnn_fo,
    qrnn_ifo,
    qrnn_admit_f,
    qrnn_admit_fo,
};
constexpr int kCells = int(Cell::qrnn_admit_fo) + 1;
constexpr int kMostPlanes = 4, kMostWeights = 4;

struct CellTraits {
    const char* name;
    int planes, weights;
    bool reads_x = false;
    bool shows_state = false;  // h is c: in fp32 and fp64 one tensor serves both
};
CellTraits traits_of(Cell cell);

struct RecurrenceShape {
    Cell cell = Cell::sru;
    int64_t steps = 0, batch = 0, width = 0;  // width: per direction
    int directions = 1;
    bool whole_start = false;  // rg_lru's rule for the first step of a document
    int64_t columns() const { return directions * width; }
};

template <class S> struct RecurrenceForward {
    RecurrenceShape shape;
    const S* u = nullptr;
    const S* x = nullptr;                    // null for cells that read none
    const Compute<S>* w[kMostWeights] = {};  // as many as the cell has
    const Compute<S>* c0 = nullptr;          // null: zeros, and every row's document begins at its first step
    const Compute<S>* mask = nullptr;        // sru's m; null: ones
    const uint8_t* flags = nullptr;          // [T][B], base/position_flags.h; null: none
    Compute<S> alpha = 1;
    S* h = nullptr;
    Compute<S>* c = nullptr;  // every c_t, for the backward pass; null: not kept
    Compute<S>* c_last = nullptr;
};

template <class S> struct RecurrenceBackward {
    RecurrenceForward<S> forward;  // with c; h and c_last are not used
    const S* dh = nullptr;
    const Compute<S>* dc_last = nullptr;  // null: zeros
    S* du = nullptr;
    S* dx = nullptr;  // null when x is null
    Compute<S>* dc0 = nullptr;
    Compute<S>* partial = nullptr;  // workspace [recurrence_row_blocks(B)][weights][D]; CUDA: [B][weights][D]
    Compute<S>* dw = nullptr;       // [weights][D]
};

// Batch rows that one task of the CPU kernel takes; fixed, so that sums do not depend on the number of threads.
constexpr int64_t kRecurrenceRows = 4;
constexpr int64_t recurrence_row_blocks(int64_t batch) { return (batch + kRecurrenceRows - 1) / kRecurrenceRows; }

// The formula, plainly; gradients by dual numbers. Instantiated for float, bfloat16, double.
template <class S> void recurrence_forward_ref(const RecurrenceForward<S>& args);
template <class S> void recurrence_backward_ref(const RecurrenceBackward<S>& args);

// Vector code for the selected instruction set, parallel over batch rows and column blocks. The same bits for any
// number of threads.
template <class S> void recurrence_forward(const RecurrenceForward<S>& args);
template <class S> void recurrence_backward(const RecurrenceBackward<S>& args);
// Columns [begin, end) of the only direction, on the calling thread.
void recurrence_columns(const RecurrenceForward<float>& args, int64_t begin, int64_t end);

// Bytes that one call must move at least: the ceiling of the benchmark.
template <class S> double recurrence_forward_bytes(const RecurrenceShape& shape, bool keep_c);
template <class S> double recurrence_backward_bytes(const RecurrenceShape& shape);

}  // namespace lithe::kernels

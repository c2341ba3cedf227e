// Diagonal state spaces: every channel drives N states that decay at constant rates and meet no others.
//
//   s_t = a s_{t-1} + x_t          y_t = Re sum_n c_n s_t,n          for each channel and state n
//
//   real      x, s, a, c real: P = 1 part                           (Gu et al. 2022, "On the Parameterization and
//   complex   x real, s, a, c complex: P = 2 parts, re and im        Initialization of Diagonal State Space Models")
//   pairs     x complex, one state, y_t = s_t, complex; no c        (Orvieto et al. 2023, "Resurrecting Recurrent
//   Neural
//                                                                    Networks for Long Sequences", eq. 2)
//
// At a padded step (kPadding) s passes by and y_t = 0; at a reset (kDocumentBegins) s_{t-1} counts as 0.
//
//   x, y [T][B][D], of pairs [T][B][2][D]   a, c [P][N][D]   s0, s_last [B][P][N][D]   kept [chunks][B][P][N][D]
// Storage is float, bfloat16 or double; a, c, states and sums are Compute<Storage>. Only every kDiagonalChunk-th state
// is kept; the backward pass makes the others anew.
#pragma once

#include <cstdint>

#include "lithe/base/position_flags.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

enum class DiagonalForm { real, complex, pairs };
constexpr DiagonalForm kDiagonalForms[] = {DiagonalForm::real, DiagonalForm::complex, DiagonalForm::pairs};
constexpr const char* name_of(DiagonalForm form) {
    return form == DiagonalForm::real ? "real" : form == DiagonalForm::complex ? "complex" : "pairs";
}
constexpr int parts_of(DiagonalForm form) { return form == DiagonalForm::real ? 1 : 2; }
constexpr int inputs_of(DiagonalForm form) { return form == DiagonalForm::pairs ? 2 : 1; }  // planes of x and y
template <DiagonalForm kForm> constexpr int kParts = parts_of(kForm);
template <DiagonalForm kForm> constexpr int kInputs = inputs_of(kForm);

constexpr int64_t kDiagonalChunk = 32;

struct DiagonalShape {
    DiagonalForm form = DiagonalForm::complex;
    int64_t steps = 0, batch = 0, width = 0;
    int64_t states = 1;
    constexpr int64_t chunks() const { return (steps + kDiagonalChunk - 1) / kDiagonalChunk; }
    constexpr int64_t state_numbers() const { return parts_of(form) * states * width; }  // of a row
    constexpr int64_t row_numbers() const { return inputs_of(form) * width; }            // of x and y at a step
};

template <class S> struct DiagonalForward {
    DiagonalShape shape;
    const S* x = nullptr;
    const Compute<S>* a = nullptr;
    const Compute<S>* c = nullptr;   // null: pairs
    const Compute<S>* s0 = nullptr;  // null: zeros
    const uint8_t* flags = nullptr;  // [T][B], base/position_flags.h; null: none
    S* y = nullptr;
    Compute<S>* kept = nullptr;  // the state before every chunk, for the backward pass; null: not kept
    Compute<S>* s_last = nullptr;
};

template <class S> struct DiagonalBackward {
    DiagonalForward<S> forward;  // with kept; y, s0 and s_last are not used
    const S* dy = nullptr;
    const Compute<S>* ds_last = nullptr;  // null: zeros
    S* dx = nullptr;
    Compute<S>* ds0 = nullptr;
    Compute<S>* partial = nullptr;  // workspace [diagonal_row_blocks(B)][2][P][N][D]; CUDA: [B][2][P][N][D]
    Compute<S>* dac = nullptr;      // [2][P][N][D]: of a, then of c (of pairs the latter is not written)
};

// Batch rows that one task of the CPU kernel takes; fixed, so that sums do not depend on the number of threads.
constexpr int64_t kDiagonalRows = 4;
constexpr int64_t diagonal_row_blocks(int64_t batch) { return (batch + kDiagonalRows - 1) / kDiagonalRows; }

// The formula, plainly. Instantiated for float, bfloat16, double.
template <class S> void diagonal_forward_ref(const DiagonalForward<S>& args);
template <class S> void diagonal_backward_ref(const DiagonalBackward<S>& args);

// Vector code for the selected instruction set, parallel over batch rows and column blocks. The same bits for any
// number of threads.
template <class S> void diagonal_forward(const DiagonalForward<S>& args);
template <class S> void diagonal_backward(const DiagonalBackward<S>& args);

// Forward; a multiply-add counted as 2.
constexpr double diagonal_flops(const DiagonalShape& s) {
    const double of_state = s.form == DiagonalForm::real ? 4 : s.form == DiagonalForm::complex ? 12 : 8;
    return of_state * double(s.steps) * double(s.batch) * double(s.width) * double(s.states);
}
// Bytes that one call must move at least.
template <class S> constexpr double diagonal_bytes(const DiagonalShape& s, bool backward) {
    return double(s.steps) * double(s.batch) * double(s.row_numbers()) * double((backward ? 3 : 2) * sizeof(S)) +
           double(s.chunks()) * double(s.batch) * double(s.state_numbers()) * double(sizeof(Compute<S>));
}

}  // namespace lithe::kernels

// Rotary positions (Su et al. 2021): pairs of numbers of a head are turned by an angle that grows with the position.
//
//   pair i of a head of `size` numbers, i < half:  (x_i, x_{i + half})  ->  (x_i cos a - x_{i+half} sin a,
//                                                                          x_{i+half} cos a + x_i sin a)
//   a = position base^(-i / half)
//
// half = turned / 2; numbers from `turned` on stay. This is the pairing of GPT-NeoX and of transformers' Llama. The
// product of two turned heads depends on the difference of their positions alone. The backward pass turns the other
// way.
//
// x is [steps][batch][row numbers], of which the first `heads` x `size` are turned and the others copied; it may be
// turned in place.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

template <class S> struct RotaryArgs {
    int64_t steps = 0, batch = 0, row = 0;
    int64_t heads = 1, size = 0, turned = 0;
    const Compute<S>* angles = nullptr;  // [steps][cosines, sines][turned / 2], or of each row [steps][batch][2][...]
    bool own_angles = false;             // of each row
    bool inverse = false;                // turns the other way
    const S* x = nullptr;
    S* y = nullptr;  // may be x
};

// Of row `row` of [steps][batch]: cosines, and behind them sines.
template <class S> static constexpr const Compute<S>* angles_of(const RotaryArgs<S>& args, int64_t row) {
    return args.angles + (args.own_angles ? row : row / args.batch) * args.turned;
}

template <class S> void rotary_ref(const RotaryArgs<S>& args);
template <class S> void rotary(const RotaryArgs<S>& args);

}  // namespace lithe::kernels

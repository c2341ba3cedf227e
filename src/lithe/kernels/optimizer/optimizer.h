// One pass over memory per parameter range: moments, weight, and the bf16 working copy.
//
//   g' = gradient_scale g + l2 w
//   m  = m_decay m + m_gain g'
//   v  = v_decay v + (1 - v_decay) g'^2            when second_moment
//   w  = w - decay w - step m / (v_scale sqrt(v) + epsilon)     when adaptive, else  w - decay w - step m
//   working = bf16(w)                              when working is given
//
// AdamW (Loshchilov, Hutter 2019), RAdam (Liu et al. 2020), Adam and SGD with momentum are settings of these numbers;
// they are made in train/optimizer.cpp.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

struct UpdateRule {
    double gradient_scale = 1, l2 = 0;
    double m_decay = 0.9, m_gain = 0.1;
    double v_decay = 0.999;
    bool second_moment = true, adaptive = true;
    double step = 0, v_scale = 1, epsilon = 1e-8, decay = 0;
};

template <class C> struct UpdateArgs {
    UpdateRule rule;
    C* weight = nullptr;
    const C* gradient = nullptr;
    C* m = nullptr;
    C* v = nullptr;
    bfloat16* working = nullptr;
    int64_t count = 0;
};

// A piece of the flat buffers, for one launch over many parameters on a GPU: the arguments' pointers are those of the
// whole buffers, their decay and l2 count where `decays`, their working copy is written where `copies`.
struct UpdateRange {
    int64_t first = 0, count = 0;
    bool decays = false, copies = false;
};
constexpr int64_t kUpdateRange = 4096;  // numbers at most

template <class C> void optimizer_update_ref(const UpdateArgs<C>& args);
template <class C> void optimizer_update(const UpdateArgs<C>& args);

// Sum of squares in double, in chunks of fixed size: the same bits for any number of threads. Infinity and NaN pass
// through.
template <class C> double sum_of_squares(const C* values, int64_t count);

}  // namespace lithe::kernels

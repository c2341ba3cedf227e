// What the operators of recurrences share.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// As kernels take it: without history, contiguous; undefined stays undefined.
inline Tensor plain(const Tensor& tensor) { return tensor.defined() ? tensor.detach().contiguous() : tensor; }

// Flags of kernels::SruFlags, or undefined. Throws when they are not [T][B] bytes for a sequence [T][B][...].
inline void check_flags(const Tensor& flags_TB, const Tensor& sequence, const char* op) {
    check(!flags_TB.defined() ||
              (flags_TB.sizes() == sequence.sizes().slice(0, 2) && flags_TB.scalar_type() == at::kByte),
          op, "flags " + shape_of(flags_TB) + " are not [T][B] bytes");
}

}  // namespace lithe::ops

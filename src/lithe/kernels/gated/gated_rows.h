// What is compiled per instruction set: W's packing, and some batch rows over all time steps.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/gated/gated.h"

namespace lithe::kernels {

// Rows that walk together: each step of time reads W once for them.
constexpr int64_t kGatedRows = 16;

struct GatedRows {
    int64_t head = 0, first = 0, count = 0;  // batch rows [first, first + count) of a head
};

// Panels that W is packed into, forward or backward; packs [begin, end) of them into the workspace.
LITHE_DECLARE_ISAS(int64_t gated_panels(const GatedShape& shape, bool backward))
LITHE_DECLARE_ISAS(template <class S>
                   void gated_pack(const GatedForward<S>& args, bool backward, int64_t begin, int64_t end))
// Bytes of scratch for `rows` rows.
LITHE_DECLARE_ISAS(template <class S> int64_t gated_scratch(const GatedShape& shape, int64_t rows))
LITHE_DECLARE_ISAS(template <class S>
                   void gated_forward_rows(const GatedForward<S>& args, const GatedRows& rows, char* scratch))
LITHE_DECLARE_ISAS(template <class S>
                   void gated_backward_rows(const GatedBackward<S>& args, const GatedRows& rows, char* scratch))

}  // namespace lithe::kernels

// The part of the table update that is compiled per instruction set.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/table/table.h"

namespace lithe::kernels {

// Groups [begin, end).
LITHE_DECLARE_ISAS(template <class C> void table_range(const TableUpdate<C>& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels

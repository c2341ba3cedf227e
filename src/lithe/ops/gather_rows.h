// Rows of a matrix by a list, where it is known in advance which rows of the result come from which of the matrix: the
// gradient is gathered, too, instead of being added up row by row.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// y[j] = x[index[j]], of x [N][D] and index [M] int64; a row of zeros where index[j] is -1.
//
// `places` [N][K] int64 lists for each row of x where it stands in y; -1: nowhere (more). It must agree with `index`:
// dx[i] is the sum of dy[places[i][k]] over k.
Tensor gather_rows(const Tensor& x_ND, const Tensor& index_M, const Tensor& places_NK);

}  // namespace lithe::ops

// The update of a large table by the rows that were looked up: row-wise Adagrad (Duchi et al. 2011; one sum per row as
// in Naumov et al. 2019, DLRM). For every row r that some entries i of the gradient belong to:
//
//   g    = gradient_scale sum_i values_i            in the order of the entries
//   s_r  = s_r + mean(g^2)
//   w_r  = w_r - rate g / (sqrt(s_r) + epsilon)
#pragma once

#include <cstdint>
#include <vector>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

// Entries gathered by the row that they belong to.
struct RowGroups {
    std::vector<int64_t> rows;    // each once, rising
    std::vector<int64_t> starts;  // of each row's entries in `order`, and the end
    std::vector<int64_t> order;   // numbers of entries; those of a row in rising order
};
// Rows are below 2^31. Linear in `count` (by digits).
RowGroups group_rows(const int64_t* row_of_entry, int64_t count);

template <class C> struct TableUpdate {
    C* table = nullptr;               // [rows][width]
    C* sums = nullptr;                // [rows]
    const C* values = nullptr;        // [entries][width]
    const int64_t* rows = nullptr;    // [groups], each row once
    const int64_t* starts = nullptr;  // [groups + 1]; null: one entry per group
    const int64_t* order = nullptr;   // null: entries stand in order
    int64_t groups = 0, width = 0;
    double rate = 0, gradient_scale = 1, epsilon = 1e-8;
};

template <class C> void table_update_ref(const TableUpdate<C>& args);
template <class C> void table_update(const TableUpdate<C>& args);

}  // namespace lithe::kernels

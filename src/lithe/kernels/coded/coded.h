// Rows of numbers as int8 codes with a scale each, and a table that keeps some of its rows so:
//
//   encode:  s_r = max_j |x_rj| / 127, rounded up to bf16;  c_rj = x_rj / s_r, rounded to nearest
//   decode:  y_rj = s_r c_rj                                exact in fp32
//   lookup:  decode of row k = rank of r among the kept rows; zeros where row r is not kept
//
// A row without a number above 1e-35 has scale and codes 0; one with a number that is not finite has scale NaN.
#pragma once

#include <cstdint>

#include "lithe/base/row_set.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

struct EncodeRows {
    const float* from = nullptr;    // [..][width]
    const int64_t* rows = nullptr;  // [count]: which rows of it
    int64_t count = 0, width = 0;
    int8_t* codes = nullptr;     // [count][width]
    bfloat16* scales = nullptr;  // [count]
};
void encode_rows_ref(const EncodeRows& args);
void encode_rows(const EncodeRows& args);

// What a file has of a table: it may lie anywhere in memory.
struct CodedRows {
    const RowBlock* blocks = nullptr;  // of the kept rows
    const int8_t* codes = nullptr;     // [kept][width]
    const void* scales = nullptr;      // [kept], bf16
    int64_t width = 0;
};
struct LookupRows {
    CodedRows table;
    const int64_t* rows = nullptr;  // [count], any of the table's
    int64_t count = 0;
    float* to = nullptr;  // [count][width]
};
void lookup_rows_ref(const LookupRows& args);
void lookup_rows(const LookupRows& args);

}  // namespace lithe::kernels

// A table in a model's file: the rows that training reached, as int8 codes with a scale each (kernels/coded/coded.h).
//
//   NAME.shape   I64  [2]            rows and width of the whole table
//   NAME.kept    U8   [ceil(R / 8)]  a bit for each row, the lowest first: whether it is kept
//   NAME.scales  BF16 [kept]
//   NAME.codes   I8   [kept][width]
#pragma once

#include <optional>
#include <string>

#include "lithe/base/row_set.h"
#include "lithe/formats/safetensors.h"

namespace lithe {

// What of a tensor is looked at.
struct TensorBytes {
    DType dtype = DType::f32;
    std::vector<int64_t> shape;
    std::span<const std::byte> bytes;
};

struct CodedTableParts {
    int64_t rows = 0, width = 0;
    RowSet kept;
    std::span<const std::byte> scales, codes;  // in the file
};

// The names of a table's four tensors.
struct CodedTableNames {
    std::string shape, kept, scales, codes;
    explicit CodedTableNames(const std::string& table)
        : shape(table + ".shape"),
          kept(table + ".kept"),
          scales(table + ".scales"),
          codes(table + ".codes") {}
};

// `find`: a tensor by its name, nullopt where there is none. Throws bad_file, naming `source`, for what is missing, of
// another type or does not fit together.
CodedTableParts read_coded_table(const std::string& table,
                                 const std::function<std::optional<TensorBytes>(const std::string&)>& find,
                                 const std::string& source);

// Which of `rows` rows the tensor `name` keeps; `kept`: how many rows the others have of them. Throws bad_file.
RowSet read_kept_rows(const std::string& name, const TensorBytes& tensor, int64_t rows, int64_t kept,
                      const std::string& source);

}  // namespace lithe

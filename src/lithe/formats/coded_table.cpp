#include "lithe/formats/coded_table.h"

#include <cstring>

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

[[noreturn]] void bad(const std::string& name, const std::string& what, const std::string& source) {
    fail_file("the tensor '" + printable(name).substr(0, 120) + "' " + what, source,
              "the file is damaged; take another copy or an earlier checkpoint");
}

void check_type(const std::string& name, const TensorBytes& tensor, DType dtype, size_t axes,
                const std::string& source) {
    if (tensor.dtype != dtype || tensor.shape.size() != axes)
        bad(name, std::string("is not ") + dtype_name(dtype) + " with " + std::to_string(axes) + " axes", source);
}

// Rows and width.
std::pair<int64_t, int64_t> read_shape(const std::string& name, const TensorBytes& tensor, const std::string& source) {
    check_type(name, tensor, DType::i64, 1, source);
    if (tensor.shape[0] != 2) bad(name, "does not hold two sizes", source);
    int64_t sizes[2], count = 0;
    std::memcpy(sizes, tensor.bytes.data(), sizeof sizes);
    if (sizes[0] < 0 || sizes[1] < 0 || __builtin_mul_overflow(sizes[0], sizes[1], &count))
        bad(name, "holds sizes that no table has", source);
    return {sizes[0], sizes[1]};
}

}  // namespace

RowSet read_kept_rows(const std::string& name, const TensorBytes& tensor, int64_t rows, int64_t kept,
                      const std::string& source) {
    check_type(name, tensor, DType::u8, 1, source);
    RowSet set;
    if (!RowSet::from_bits(tensor.bytes, rows, set))
        bad(name, "does not have a bit for each of " + std::to_string(rows) + " rows and no others", source);
    if (set.count() != kept)
        bad(name, "keeps " + std::to_string(set.count()) + " rows, and there are " + std::to_string(kept), source);
    return set;
}

CodedTableParts read_coded_table(const std::string& table,
                                 const std::function<std::optional<TensorBytes>(const std::string&)>& find,
                                 const std::string& source) {
    const auto tensor = [&](const std::string& name) {
        const auto found = find(name);
        if (!found) bad(name, "is missing", source);
        return *found;
    };
    const CodedTableNames names(table);
    CodedTableParts parts;
    std::tie(parts.rows, parts.width) = read_shape(names.shape, tensor(names.shape), source);
    const TensorBytes scales = tensor(names.scales), codes = tensor(names.codes);
    check_type(names.scales, scales, DType::bf16, 1, source);
    check_type(names.codes, codes, DType::i8, 2, source);
    if (codes.shape[1] != parts.width)
        bad(names.codes,
            "has rows of " + std::to_string(codes.shape[1]) + " numbers where the table's have " +
                std::to_string(parts.width),
            source);
    if (codes.shape[0] != scales.shape[0])
        bad(names.codes,
            "has " + std::to_string(codes.shape[0]) + " rows and " + std::to_string(scales.shape[0]) + " scales",
            source);
    parts.kept = read_kept_rows(names.kept, tensor(names.kept), parts.rows, codes.shape[0], source);
    parts.scales = scales.bytes;
    parts.codes = codes.bytes;
    return parts;
}

}  // namespace lithe

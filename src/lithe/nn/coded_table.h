// A table that is read and not trained: rows as int8 codes in a mapped file, looked up where they lie
// (formats/coded_table.h). It takes memory for the pages that were looked at, and these the system may take back.
#pragma once

#include <memory>
#include <span>

#include "lithe/base/file.h"
#include "lithe/base/row_set.h"
#include "lithe/kernels/coded/coded.h"
#include "lithe/ops/torch.h"

namespace lithe {

class CodedTable {
 public:
    // Of `kept.rows()` rows. `scales`, `codes`: bf16 [kept] and int8 [kept][width], in the mapping of `file`.
    CodedTable(RowSet kept, int64_t width, std::span<const std::byte> scales, std::span<const std::byte> codes,
               std::shared_ptr<const MappedFile> file);

    int64_t rows() const { return kept_.rows(); }
    int64_t width() const { return table_.width; }
    const RowSet& kept() const { return kept_; }

    // Rows [count] to `to` [count][width]; zeros for those that are not kept.
    void look_up(const int64_t* rows, int64_t count, float* to) const;
    // rows [...] -> [...][width]. Looks first whether the file is still what it was.
    Tensor look_up(const Tensor& rows) const;

 private:
    RowSet kept_;
    kernels::CodedRows table_;
    std::shared_ptr<const MappedFile> file_;
};

}  // namespace lithe

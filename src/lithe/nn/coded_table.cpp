#include "lithe/nn/coded_table.h"

namespace lithe {

CodedTable::CodedTable(RowSet kept, int64_t width, std::span<const std::byte> scales, std::span<const std::byte> codes,
                       std::shared_ptr<const MappedFile> file)
    : kept_(std::move(kept)),
      table_{kept_.blocks(), reinterpret_cast<const int8_t*>(codes.data()), scales.data(), width},
      file_(std::move(file)) {
    ops::check(codes.size() == size_t(kept_.count() * width) && scales.size() == size_t(kept_.count()) * 2,
               "coded table", "codes and scales must be those of the kept rows");
}

void CodedTable::look_up(const int64_t* rows, int64_t count, float* to) const {
    kernels::lookup_rows({table_, rows, count, to});
}

Tensor CodedTable::look_up(const Tensor& rows) const {
    ops::check(rows.scalar_type() == at::kLong && rows.is_cpu(), "coded table", "rows must be 64-bit numbers on a CPU");
    file_->check_unchanged();
    std::vector<int64_t> shape = rows.sizes().vec();
    shape.push_back(width());
    Tensor found = at::empty(shape, at::kFloat);
    const Tensor list = rows.contiguous();
    look_up(list.data_ptr<int64_t>(), list.numel(), found.data_ptr<float>());
    return found;
}

}  // namespace lithe

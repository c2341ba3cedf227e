#include <algorithm>
#include <optional>

#include "fuzz.h"
#include "lithe/formats/coded_table.h"
#include "lithe/kernels/coded/coded.h"

namespace {

// Looks rows up, the first, the last and all that are kept, as a model would that has the table.
void look_up(const lithe::CodedTableParts& table) {
    if (table.width > 4096 || table.rows == 0) return;
    std::vector<int64_t> rows = table.kept.list();
    rows.resize(std::min<size_t>(rows.size(), 1000));
    rows.insert(rows.end(), {0, table.rows - 1});
    std::vector<float> found(rows.size() * size_t(table.width));
    const lithe::kernels::CodedRows coded{table.kept.blocks(), reinterpret_cast<const int8_t*>(table.codes.data()),
                                          table.scales.data(), table.width};
    lithe::kernels::lookup_rows({coded, rows.data(), int64_t(rows.size()), found.data()});
}

void read_tables(const lithe::SafetensorsHeader& header, std::span<const std::byte> file) {
    const auto find = [&](const std::string& name) -> std::optional<lithe::TensorBytes> {
        for (const lithe::TensorInfo& each : header.tensors)
            if (each.name == name)
                return lithe::TensorBytes{each.dtype, each.shape,
                                          file.subspan(header.data_start + each.begin, each.end - each.begin)};
        return std::nullopt;
    };
    const std::string end = ".codes";
    for (const lithe::TensorInfo& each : header.tensors)
        if (each.name.ends_with(end))
            look_up(lithe::read_coded_table(each.name.substr(0, each.name.size() - end.size()), find, "fuzz"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const std::byte> file{reinterpret_cast<const std::byte*>(data), size};
    return fuzz_one([&] { read_tables(lithe::parse_safetensors(file, "fuzz"), file); });
}

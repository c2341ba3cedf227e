// safetensors files: an 8-byte header length, a JSON header, raw row-major little-endian data. Nothing in them can
// execute. Format: github.com/safetensors/safetensors (README, "Format"). Every check of the reference reader is made
// here, duplicate names are refused, and sizes are checked before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lithe/base/file.h"

namespace lithe {

enum class DType { boolean, u8, i8, i16, u16, f16, bf16, i32, u32, f32, f64, i64, u64 };

int64_t dtype_size(DType dtype);
const char* dtype_name(DType dtype);  // as in the file: "F32", "BF16" …

struct TensorInfo {
    std::string name;
    DType dtype = DType::f32;
    std::vector<int64_t> shape;
    uint64_t begin = 0, end = 0;  // in the data part, bytes
};

struct SafetensorsHeader {
    std::vector<TensorInfo> tensors;  // in file order
    std::map<std::string, std::string> metadata;
    uint64_t data_start = 0;  // in the file, bytes
};

// Checks everything but the values. `source` names the file in errors (of the kind bad_file).
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& source);

// A memory-mapped safetensors file. Where the writer left the hash of the values in the metadata (write_safetensors
// does), they are checked too.
class SafetensorsFile {
 public:
    explicit SafetensorsFile(const std::string& path);
    const SafetensorsHeader& header() const { return header_; }
    const TensorInfo* find(const std::string& name) const;
    std::span<const std::byte> data(const TensorInfo& tensor) const;
    // Copies its bytes to `place`; they need no memory on the way.
    void copy(const TensorInfo& tensor, void* place) const;
    const MappedFile& mapping() const { return file_; }
    const std::string& path() const { return file_.path(); }

 private:
    MappedFile file_;
    SafetensorsHeader header_;
};

// Gives `use` the bytes of a tensor, one stretch after another, the same each time.
using Pieces = std::function<void(const std::function<void(const void* data, size_t size)>& use)>;

struct TensorToWrite {
    std::string name;
    DType dtype = DType::f32;
    std::vector<int64_t> shape;
    const void* data = nullptr;  // contiguous
    Pieces pieces = {};          // instead of data: what would need too much memory at once
};

// Writes the tensors in the reference writer's order (widest type first, then by name), aligned; the caller closes.
void write_safetensors(FileWriter& writer, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace lithe

// Tensors in safetensors files, by name: writing and reading them, and a model's parameters from one file or several.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lithe/base/error.h"
#include "lithe/formats/safetensors.h"
#include "lithe/nn/parameters.h"

namespace lithe {

// A tensor that is made while it is written: it would need too much memory at once.
struct MadeTensor {
    DType dtype = DType::f32;
    std::vector<int64_t> shape;
    Pieces pieces;
};
struct NamedTensor {
    std::string name;
    Tensor tensor;
    std::shared_ptr<const MadeTensor> made = nullptr;  // instead
};

// Size and XXH3-64 of a file that was written.
struct FileSeal {
    uint64_t size, hash;
};
FileSeal write_tensors(const std::string& path, const std::vector<NamedTensor>& tensors);

// Types of numbers that lithe's models have. Throw for others: `failed`, bad_file.
DType file_type(at::ScalarType type);
at::ScalarType torch_type(const TensorInfo& info, const std::string& path);

// Calls `use` with one tensor after another, so that not all of them need memory at once.
void each_tensor(const std::string& path, const std::function<void(const NamedTensor&)>& use);
std::vector<NamedTensor> read_tensors(const std::string& path);

// Files that hold tensors together, each tensor in one of them: a model's parameters.
class TensorFiles : public std::vector<std::string> {
 public:
    using std::vector<std::string>::vector;
    TensorFiles(const std::string& path) : std::vector<std::string>{path} {}
    TensorFiles(std::vector<std::string> paths) : std::vector<std::string>(std::move(paths)) {}
};

std::vector<std::string> parameter_names(const ParameterStore& store);
// Throws bad_file with the first of the problems, unless there are none.
void check_fit(const Problems& problems, const std::string& path, const std::string& hint);

}  // namespace lithe

#include "lithe/model/tensor_files.h"

#include <algorithm>

#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/model/saved_tensors.h"

namespace lithe {
namespace {

struct TypePair {
    at::ScalarType torch;
    DType file;
};
constexpr TypePair kTypes[] = {{at::kFloat, DType::f32}, {at::kBFloat16, DType::bf16}, {at::kDouble, DType::f64},
                               {at::kByte, DType::u8},   {at::kChar, DType::i8},       {at::kLong, DType::i64},
                               {at::kInt, DType::i32}};

}  // namespace

DType file_type(at::ScalarType type) {
    for (const TypePair& pair : kTypes)
        if (pair.torch == type) return pair.file;
    fail({.what = std::string("cannot save tensors of type ") + at::toString(type)});
}

at::ScalarType torch_type(const TensorInfo& info, const std::string& path) {
    for (const TypePair& pair : kTypes)
        if (pair.file == info.dtype) return pair.torch;
    fail_file("tensor '" + printable(info.name) + "' has type " + dtype_name(info.dtype) +
                  ", which a model of lithe does not use",
              path);
}

FileSeal write_tensors(const std::string& path, const std::vector<NamedTensor>& tensors) {
    std::vector<Tensor> keep;
    std::vector<TensorToWrite> list;
    for (const NamedTensor& each : tensors) {
        if (each.made) {
            list.push_back(
                {.name = each.name, .dtype = each.made->dtype, .shape = each.made->shape, .pieces = each.made->pieces});
            continue;
        }
        keep.push_back(each.tensor.detach().to(at::kCPU).contiguous());
        list.push_back(
            {each.name, file_type(each.tensor.scalar_type()), each.tensor.sizes().vec(), keep.back().data_ptr()});
    }
    FileWriter writer(path);
    write_safetensors(writer, list, {{"format", "pt"}});
    writer.close();
    return {writer.size(), writer.hash()};
}

void each_tensor(const std::string& path, const std::function<void(const NamedTensor&)>& use) {
    SavedTensors tensors(path);
    for (const std::string& name : tensors.names()) use({name, tensors.take(name)});
}

std::vector<NamedTensor> read_tensors(const std::string& path) {
    std::vector<NamedTensor> tensors;
    each_tensor(path, [&](const NamedTensor& each) { tensors.push_back(each); });
    return tensors;
}

std::vector<std::string> parameter_names(const ParameterStore& store) {
    std::vector<std::string> names;
    for (size_t i = 0; i < store.size(); ++i) names.push_back(store.spec(i).name);
    return names;
}

void check_fit(const Problems& problems, const std::string& path, const std::string& hint) {
    if (problems.empty()) return;
    auto lines = problems.lines();
    if (lines.size() > 8) {
        lines.resize(8);
        lines.push_back("…");
    }
    fail_file("the weights do not fit the configuration: " + join(lines, "; "), path, hint);
}

}  // namespace lithe

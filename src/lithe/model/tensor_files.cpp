#include "lithe/model/tensor_files.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/formats/safetensors.h"
#include "lithe/spec/migrations.h"

namespace lithe {
namespace {

struct TypePair {
    at::ScalarType torch;
    DType file;
};
constexpr TypePair kTypes[] = {{at::kFloat, DType::f32}, {at::kBFloat16, DType::bf16}, {at::kDouble, DType::f64},
                               {at::kByte, DType::u8},   {at::kLong, DType::i64},      {at::kInt, DType::i32}};

DType file_type(at::ScalarType type) {
    for (const TypePair& pair : kTypes)
        if (pair.torch == type) return pair.file;
    fail({.what = std::string("cannot save tensors of type ") + at::toString(type)});
}

Tensor tensor_of(const SafetensorsFile& file, const TensorInfo& info) {
    auto pair = std::find_if(std::begin(kTypes), std::end(kTypes),
                             [&](const TypePair& each) { return each.file == info.dtype; });
    if (pair == std::end(kTypes))
        fail_file("tensor '" + printable(info.name) + "' has type " + dtype_name(info.dtype) +
                      ", which a model of lithe does not use",
                  file.path());
    Tensor tensor = at::empty(info.shape, at::TensorOptions(pair->torch));
    file.copy(info, tensor.data_ptr());
    return tensor;
}

// A model's tensors in one or several files, under today's names.
class ModelTensors {
 public:
    struct Place {
        const SafetensorsFile* file;
        const TensorInfo* info;
    };

    ModelTensors(const ParameterStore& store, const TensorFiles& paths) {
        std::vector<std::string> names;
        for (const std::string& path : paths) {
            files_.push_back(std::make_unique<SafetensorsFile>(path));
            for (const TensorInfo& info : files_.back()->header().tensors) names.push_back(info.name);
        }
        const std::map<std::string, std::string> renamed = renamed_parameters(parameter_names(store), names);
        for (const auto& file : files_)
            for (const TensorInfo& info : file->header().tensors) {
                const auto today = renamed.find(info.name);
                add(today == renamed.end() ? info.name : today->second, {file.get(), &info});
            }
    }

    const std::map<std::string, Place>& places() const { return places_; }
    // For errors.
    std::string path() const { return files_.empty() ? "model" : files_.front()->path(); }

 private:
    void add(const std::string& name, Place place) {
        if (!places_.emplace(name, place).second)
            fail_file("the tensor '" + printable(name) + "' stands in two files", place.file->path());
    }
    std::vector<std::unique_ptr<SafetensorsFile>> files_;
    std::map<std::string, Place> places_;
};

void check_shapes(const ParameterStore& store, const ModelTensors& tensors) {
    Problems problems;
    std::set<std::string> wanted;
    for (size_t i = 0; i < store.size(); ++i) {
        const ParameterSpec& spec = store.spec(i);
        wanted.insert(spec.name);
        const auto found = tensors.places().find(spec.name);
        if (found == tensors.places().end()) {
            problems.add("parameter '" + spec.name + "' is missing");
            continue;
        }
        const std::vector<int64_t>& shape = found->second.info->shape;
        if (shape != spec.shape)
            problems.add("parameter '" + spec.name + "' has shape " + ops::shape_of(shape) +
                         ", the configuration needs " + ops::shape_of(spec.shape));
    }
    for (const auto& [name, place] : tensors.places())
        if (!wanted.count(name)) problems.add("tensor '" + printable(name) + "' belongs to no parameter");
    check_fit(problems, tensors.path(),
              "take the configuration that they were trained with: config.json beside them");
}

}  // namespace

FileSeal write_tensors(const std::string& path, const std::vector<NamedTensor>& tensors) {
    std::vector<Tensor> keep;
    std::vector<TensorToWrite> list;
    for (const NamedTensor& each : tensors) {
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
    const SafetensorsFile file(path);
    for (const TensorInfo& info : file.header().tensors) use({info.name, tensor_of(file, info)});
}

std::vector<NamedTensor> read_tensors(const std::string& path) {
    std::vector<NamedTensor> tensors;
    each_tensor(path, [&](const NamedTensor& each) { tensors.push_back(each); });
    return tensors;
}

std::vector<NamedTensor> named_masters(const ParameterStore& store) {
    std::vector<NamedTensor> tensors;
    for (size_t i = 0; i < store.size(); ++i) tensors.push_back({store.spec(i).name, store.master(i)});
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

void check_parameters(const ParameterStore& store, const TensorFiles& files) {
    check_shapes(store, ModelTensors(store, files));
}

void load_parameters(ParameterStore& store, const TensorFiles& files) {
    at::NoGradGuard no_grad;
    const ModelTensors tensors(store, files);
    check_shapes(store, tensors);
    for (size_t i = 0; i < store.size(); ++i) {
        const auto& [file, info] = tensors.places().at(store.spec(i).name);
        const Tensor& master = store.master(i);
        const bool same = file_type(master.scalar_type()) == info->dtype && master.is_cpu() && master.is_contiguous();
        if (same) file->copy(*info, master.data_ptr());
        else master.copy_(tensor_of(*file, *info));
    }
    store.refresh_working();
}

}  // namespace lithe

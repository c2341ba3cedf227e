#include "lithe/model/saved_tensors.h"

#include "lithe/base/text.h"

namespace lithe {

SavedTensors::SavedTensors(const TensorFiles& files) {
    for (const std::string& path : files) {
        const auto file = files_.emplace_back(std::make_shared<const SafetensorsFile>(path));
        for (const TensorInfo& info : file->header().tensors)
            if (!places_.emplace(info.name, Place{file, info}).second)
                fail_file("the tensor '" + printable(info.name) + "' stands in two files", path);
    }
}

std::vector<std::string> SavedTensors::names(const std::string& prefix) const {
    std::vector<std::string> list;
    for (const auto& [name, place] : places_)
        if (name.rfind(prefix, 0) == 0) list.push_back(name);
    return list;
}

const SavedTensors::Place& SavedTensors::place(const std::string& name) const {
    const auto found = places_.find(name);
    if (found == places_.end()) fail_file("the tensor '" + printable(name) + "' is missing", path());
    return found->second;
}

SavedTensors::Mapped SavedTensors::mapped(const std::string& name) const {
    const Place& from = place(name);
    return {{from.info.dtype, from.info.shape, from.file->data(from.info)}, {from.file, &from.file->mapping()}};
}

Tensor SavedTensors::take(const std::string& name) {
    const Place& from = place(name);
    taken_.insert(name);
    Tensor tensor = at::empty(from.info.shape, at::TensorOptions(torch_type(from.info, from.file->path())));
    from.file->copy(from.info, tensor.data_ptr());
    return tensor;
}

void SavedTensors::take_into(const std::string& name, const Tensor& to) {
    const Place& from = place(name);
    if (to.sizes() != at::IntArrayRef(from.info.shape))
        fail({.kind = ErrorKind::bad_file,
              .what = "the tensor '" + printable(name) + "' does not fit",
              .where = from.file->path(),
              .expected = "shape " + ops::shape_of(to),
              .got = ops::shape_of(from.info.shape)});
    const at::NoGradGuard no_grad;
    const bool same = file_type(to.scalar_type()) == from.info.dtype && to.is_cpu() && to.is_contiguous();
    if (!same) {
        to.copy_(take(name));
        return;
    }
    taken_.insert(name);
    from.file->copy(from.info, to.data_ptr());
}

void SavedTensors::check_all_taken() const {
    for (const auto& [name, place] : places_)
        if (!taken_.count(name))
            fail_file("unknown tensor '" + printable(name) + "'", place.file->path(),
                      "a newer version of lithe may have saved it: update lithe");
}

void SavedTensors::rename(const std::string& before, const std::string& now) {
    auto node = places_.extract(before);
    if (node.empty()) return;
    node.key() = now;
    if (!places_.insert(std::move(node)).inserted)
        fail_file("the tensor '" + printable(now) + "' stands there under two names", path());
}

void SavedTensors::cut_out(const std::string& flat, int64_t first, const std::string& name,
                           const std::vector<int64_t>& shape) {
    const Place& whole = place(flat);
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    const auto bytes = uint64_t(dtype_size(whole.info.dtype));
    TensorInfo part{name, whole.info.dtype, shape, whole.info.begin + uint64_t(first) * bytes, 0};
    part.end = part.begin + uint64_t(count) * bytes;
    if (part.end > whole.info.end) fail_file("the tensor '" + printable(flat) + "' is too short", path());
    places_.insert_or_assign(name, Place{whole.file, part});
}

}  // namespace lithe

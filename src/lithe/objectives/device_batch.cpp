#include "lithe/objectives/device_batch.h"

namespace lithe {
namespace {

template <class T> Tensor view(const std::vector<T>& numbers, int64_t length, int64_t rows, at::Device device) {
    if (numbers.empty()) return {};
    const at::ScalarType type = sizeof(T) == 1 ? at::kByte : at::kLong;
    // nothing writes to what a model reads
    void* data = const_cast<T*>(numbers.data());
    return at::from_blob(data, {length, rows}, at::TensorOptions(type)).to(device);
}

}  // namespace

DeviceBatch DeviceBatch::of(const Batch& batch, at::Device device) {
    const auto main = [&](const auto& numbers) { return view(numbers, batch.length, batch.rows, device); };
    const auto source = [&](const auto& numbers) { return view(numbers, batch.source.length, batch.rows, device); };
    return {main(batch.inputs), main(batch.targets), main(batch.flags), source(batch.source.ids),
            source(batch.source.flags)};
}

}  // namespace lithe

#include "lithe/objectives/device_batch.h"

namespace lithe {
namespace {

constexpr at::ScalarType type_of(uint8_t) { return at::kByte; }
constexpr at::ScalarType type_of(int64_t) { return at::kLong; }
constexpr at::ScalarType type_of(double) { return at::kDouble; }

template <class T> Tensor view(const std::vector<T>& numbers, at::IntArrayRef shape, at::Device device) {
    if (numbers.empty()) return {};
    // nothing writes to what a model reads
    void* data = const_cast<T*>(numbers.data());
    return at::from_blob(data, shape, at::TensorOptions(type_of(T()))).to(device);
}

}  // namespace

DeviceBatch DeviceBatch::of(const Batch& batch, at::Device device) {
    const auto main = [&](const auto& numbers) { return view(numbers, {batch.length, batch.rows}, device); };
    const auto source = [&](const auto& numbers) { return view(numbers, {batch.source.length, batch.rows}, device); };
    const Tensor classes_B = view(batch.labels.classes, {batch.rows}, device);
    return {.ids_TB = main(batch.inputs),
            .targets_TB = main(batch.targets),
            .flags_TB = main(batch.flags),
            .source_SB = source(batch.source.ids),
            .source_flags_SB = source(batch.source.flags),
            .labels_B = classes_B.defined() ? classes_B : view(batch.labels.numbers, {batch.rows}, device)};
}

}  // namespace lithe

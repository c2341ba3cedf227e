#include "lithe/nn/lora.h"

namespace lithe {
namespace {

// [stacked][rows / stacked][columns]
Tensor apart(const Tensor& matrix, int64_t stacked) { return matrix.view({stacked, -1, matrix.size(1)}); }

}  // namespace

LoraNames::LoraNames(const std::string& matrix)
    : up("lora." + matrix + ".up"),
      down("lora." + matrix + ".down"),
      scale("lora." + matrix + ".scale") {}

bool stands_in_layers(const std::string& name) {
    return name.starts_with("layers.") || name.find(".layers.") != std::string::npos;
}

Tensor lora_product(const Tensor& up, const Tensor& down, int64_t stacked, double scale) {
    return at::bmm(apart(up, stacked), apart(down, stacked)).mul_(scale).view({up.size(0), down.size(1)});
}

void add_lora_gradients(const Tensor& d_weight, const Tensor& up, const Tensor& down, int64_t stacked, double scale,
                        const Tensor& d_up, const Tensor& d_down) {
    const Tensor d_parts = apart(d_weight, stacked);
    apart(d_up, stacked).add_(at::bmm(d_parts, apart(down, stacked).transpose(1, 2)), scale);
    apart(d_down, stacked).add_(at::bmm(apart(up, stacked).transpose(1, 2), d_parts), scale);
}

}  // namespace lithe

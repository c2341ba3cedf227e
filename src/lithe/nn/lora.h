// Low-rank updates of frozen matrices (LoRA, Hu et al. 2022, section 4.1):
//
//   W' = W + scale up down,  scale = alpha / rank        W [rows][columns], up [rows][rank], down [rank][columns]
//   d_up = scale dW' down^T        d_down = scale up^T dW'
//
// W stays as it is; up begins at zero, so that training begins with W' = W. Products read W', which is made anew after
// each update, so that no kernel and no block knows of it, and a merged model is the same numbers. (The paper adds
// x down^T up^T to x W^T; its dropout of x before `down` has no counterpart here.)
//
// A matrix that holds `stacked` ones along its rows has an update for each, as if each stood alone: down
// [stacked rank][columns].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lithe/ops/torch.h"

namespace lithe {

struct LoraOptions {
    int64_t rank = 8;
    double alpha = 16;
    std::vector<std::string> paths;  // of the matrices; empty: all that stand in layers
};

// The update of one matrix; indices of parameters in their store.
struct LoraUpdate {
    size_t matrix = 0, up = 0, down = 0;
    int64_t stacked = 1;
    double scale = 1;
};

// Names of what belongs to a matrix: "lora.NAME.up", "lora.NAME.down", and the scale as files have it.
struct LoraNames {
    std::string up, down, scale;
    explicit LoraNames(const std::string& matrix);
};

// Whether a parameter of this name is a matrix that an empty list of paths means: "decoder.layers.0.attention.qkv".
bool stands_in_layers(const std::string& name);

// scale up down [rows][columns].
Tensor lora_product(const Tensor& up, const Tensor& down, int64_t stacked, double scale);

// Adds the gradients that follow from that of W'.
void add_lora_gradients(const Tensor& d_weight, const Tensor& up, const Tensor& down, int64_t stacked, double scale,
                        const Tensor& d_up, const Tensor& d_down);

}  // namespace lithe

// Backward passes that run inside another one: of units whose activations were not kept.
#pragma once

#include <torch/csrc/autograd/function.h>

#include <vector>

#include "lithe/ops/torch.h"

namespace lithe {

// Where the gradients of some outputs begin. Collected first, so that whoever collects can let go of the outputs
// before run() lets go of each gradient as soon as it is used.
class InnerBackward {
 public:
    // Nothing where the output takes no gradient, or has none.
    void add(const Tensor& output, Tensor gradient);
    // Leaves' gradients add up.
    void run() &&;

 private:
    torch::autograd::edge_list from_;
    torch::autograd::variable_list gradients_;
};

}  // namespace lithe

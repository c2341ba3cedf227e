// Helpers for operators with hand-written gradients. They derive from autograd's Node: far quicker to compile than
// custom_function.h.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>

namespace lithe::ops {

// Attaches `node` to the outputs when any input needs a gradient.
template <class... Inputs> bool needs_gradient(const Inputs&... inputs) {
    return at::GradMode::is_enabled() && torch::autograd::any_variable_requires_grad({inputs...});
}

template <class NodeType, class... Inputs> std::shared_ptr<NodeType> make_node(const Inputs&... inputs) {
    auto node = std::shared_ptr<NodeType>(new NodeType(), torch::autograd::deleteNode);
    node->set_next_edges(torch::autograd::collect_next_edges(inputs...));
    return node;
}

}  // namespace lithe::ops

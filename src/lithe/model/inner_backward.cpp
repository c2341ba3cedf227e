#include "lithe/model/inner_backward.h"

#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/functions/utils.h>

namespace lithe {

// Where a backward pass begins: hands its gradients over, so that nobody holds them while it goes on.
class GivenGradients : public torch::autograd::Node {
 public:
    GivenGradients(torch::autograd::edge_list to, torch::autograd::variable_list gradients)
        : Node(std::move(to)),
          gradients_(std::move(gradients)) {}
    torch::autograd::variable_list apply(torch::autograd::variable_list&&) override { return std::move(gradients_); }

 private:
    torch::autograd::variable_list gradients_;
};

void InnerBackward::add(const Tensor& output, Tensor gradient) {
    if (!gradient.defined() || !output.requires_grad()) return;
    from_.push_back(torch::autograd::impl::gradient_edge(output));
    gradients_.push_back(std::move(gradient));
}

void InnerBackward::run() && {
    if (from_.empty()) return;
    const std::shared_ptr<GivenGradients> begin(new GivenGradients(std::move(from_), std::move(gradients_)),
                                                torch::autograd::deleteNode);
    const Tensor start = at::zeros({});
    begin->add_input_metadata(start);
    constexpr bool kKeepGraph = false;
    constexpr bool kCreateGraph = false;
    constexpr bool kAccumulate = true;
    torch::autograd::Engine::get_default_engine().execute({{begin, 0}}, {start}, kKeepGraph, kCreateGraph, kAccumulate);
}

}  // namespace lithe

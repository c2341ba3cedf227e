#include "lithe/ops/gather_rows.h"

#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

// Rows by index; zeros where it is negative.
Tensor rows_of(const Tensor& x_ND, const Tensor& index_M) {
    const int64_t zeros_at = x_ND.size(0);
    if (index_M.numel() == 0) return at::empty({0, x_ND.size(1)}, x_ND.options());
    if (!(index_M < 0).any().item<bool>()) return x_ND.index_select(0, index_M);
    const Tensor padded = at::cat({x_ND, at::zeros({1, x_ND.size(1)}, x_ND.options())});
    return padded.index_select(0, at::where(index_M < 0, zeros_at, index_M));
}

struct GatherRowsNode : torch::autograd::Node {
    Tensor places_NK;
    std::string name() const override { return "lithe::gather_rows backward"; }
    torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
        check(places_NK.defined(), "gather_rows", "backward was run twice through a graph that was freed");
        if (!gradients[0].defined()) return {Tensor()};
        const int64_t rows = places_NK.size(0);
        const int64_t times = places_NK.size(1);
        const Tensor gathered = rows_of(gradients[0].contiguous(), places_NK.flatten());
        return {times == 1 ? gathered : gathered.view({rows, times, -1}).sum(1)};
    }
    void release_variables() override { places_NK.reset(); }
};

}  // namespace

Tensor gather_rows(const Tensor& x_ND, const Tensor& index_M, const Tensor& places_NK) {
    ProfileScope scope("lithe::gather_rows");
    check(x_ND.dim() == 2 && index_M.dim() == 1 && places_NK.dim() == 2 && places_NK.size(0) == x_ND.size(0),
          "gather_rows", shape_of(x_ND) + " rows by " + shape_of(index_M) + ", places " + shape_of(places_NK));
    Tensor y;
    {
        const at::NoGradGuard no_grad;
        y = rows_of(x_ND.detach().contiguous(), index_M);
    }
    if (needs_gradient(x_ND)) {
        auto node = make_node<GatherRowsNode>(x_ND);
        node->places_NK = places_NK;
        torch::autograd::set_history(y, node);
    }
    return y;
}

}  // namespace lithe::ops

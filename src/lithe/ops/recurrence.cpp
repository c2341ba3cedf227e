#include "lithe/ops/recurrence.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

struct Saved {
    RecurrenceInput in;
    Tensor c_TBD;  // every state; may be what the operator gave out
    uint32_t version = 0;
};

kernels::CellTraits cell_of(const RecurrenceInput& in) { return kernels::traits_of(in.cell); }

int64_t columns_of(const RecurrenceInput& in) { return in.u.size(2) / cell_of(in).planes; }

at::TensorOptions compute_options(const RecurrenceInput& in) {
    return at::TensorOptions(compute_type(in.u.scalar_type())).device(in.u.device());
}

template <class S>
kernels::RecurrenceForward<S> forward_args(const RecurrenceInput& in, const Tensor& h, const Tensor& c_all,
                                           const Tensor& c_last) {
    using C = kernels::Compute<S>;
    kernels::RecurrenceForward<S> args;
    args.shape = {.cell = in.cell,
                  .steps = in.u.size(0),
                  .batch = in.u.size(1),
                  .width = columns_of(in) / in.directions,
                  .directions = in.directions,
                  .whole_start = in.whole_start};
    args.u = pointer<S>(in.u);
    args.x = pointer<S>(in.x_TBD);
    int number = 0;
    for (const Tensor& each : in.weights)
        for (int64_t row = 0; each.defined() && row < each.numel() / std::max<int64_t>(1, columns_of(in)); ++row)
            args.w[number++] = pointer<C>(each) + row * columns_of(in);
    args.c0 = pointer<C>(in.c0_BD);
    args.mask = pointer<C>(in.mask_BD);
    args.flags = pointer<uint8_t>(in.flags_TB);
    args.alpha = C(in.alpha);
    args.h = pointer<S>(h);
    args.c = pointer<C>(c_all);
    args.c_last = pointer<C>(c_last);
    return args;
}

struct RecurrenceNode : torch::autograd::Node {
    Saved saved;

    std::string name() const override { return "lithe::recurrence backward"; }

    variable_list apply(variable_list&& gradients) override {
        const RecurrenceInput& in = saved.in;
        check(in.u.defined(), "recurrence", "backward was run twice through a graph that was freed");
        check(saved.c_TBD._version() == saved.version, "recurrence", "its output was changed in place");
        const int64_t steps = in.u.size(0), batch = in.u.size(1), columns = columns_of(in),
                      weights = cell_of(in).weights;
        const Tensor dh = gradients[0].defined() ? gradients[0].to(in.u.scalar_type()).contiguous()
                                                 : at::zeros({steps, batch, columns}, in.u.options());
        const Tensor dc = gradients[1].defined() ? gradients[1].contiguous() : Tensor();
        const Tensor du = at::empty_like(in.u), dx = in.x_TBD.defined() ? at::empty_like(in.x_TBD) : Tensor();
        const Tensor dw = at::empty({weights, columns}, compute_options(in)),
                     dc0 = at::empty({batch, columns}, compute_options(in));
        const int64_t parts = in.u.is_cuda() ? batch : kernels::recurrence_row_blocks(batch);
        const Tensor partial = at::empty({parts, weights, columns}, compute_options(in));
        for_storage(in.u.scalar_type(), "recurrence", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            using C = kernels::Compute<S>;
            kernels::RecurrenceBackward<S> args;
            args.forward = forward_args<S>(in, Tensor(), saved.c_TBD, Tensor());
            args.dh = pointer<S>(dh);
            args.dc_last = pointer<C>(dc);
            args.du = pointer<S>(du);
            args.dx = pointer<S>(dx);
            args.dc0 = pointer<C>(dc0);
            args.partial = pointer<C>(partial);
            args.dw = pointer<C>(dw);
            if (in.u.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().recurrence_backward(args, stream_of(in.u, "recurrence")),
                           "recurrence");
            else kernels::recurrence_backward(args);
            add_work(0, kernels::recurrence_backward_bytes<S>(args.forward.shape));
        });
        variable_list result = {du, dx, in.c0_BD.defined() ? dc0 : Tensor()};
        int64_t first = 0;
        for (const Tensor& each : in.weights) {
            const int64_t rows = each.defined() ? each.numel() / columns : 0;
            result.push_back(each.defined() ? dw.narrow(0, first, rows).view(each.sizes()) : Tensor());
            first += rows;
        }
        return result;
    }

    void release_variables() override { saved = {}; }
};

void check_weights(const RecurrenceInput& in) {
    const int64_t columns = columns_of(in);
    int64_t numbers = 0;
    for (const Tensor& each : in.weights) {
        if (!each.defined()) continue;
        check(each.dim() <= 2 && each.size(-1) == columns, "recurrence",
              "weights " + shape_of(each) + " do not fit a width of " + std::to_string(columns));
        numbers += each.numel();
    }
    check(numbers == cell_of(in).weights * columns, "recurrence",
          std::string("the cell ") + cell_of(in).name + " has " + std::to_string(cell_of(in).weights) +
              " weights of a column, got " + std::to_string(numbers) + " numbers for " + std::to_string(columns));
}

void check_input(const RecurrenceInput& in) {
    for_storage(in.u.scalar_type(), "recurrence", [](auto*) {});
    const auto cell = cell_of(in);
    check(in.u.dim() == 3 && in.u.size(2) % (cell.planes * in.directions) == 0, "recurrence",
          "u " + shape_of(in.u) + " does not hold " + std::to_string(cell.planes) + " planes of " +
              std::to_string(in.directions) + " directions");
    const int64_t steps = in.u.size(0), batch = in.u.size(1), columns = columns_of(in);
    check(in.x_TBD.defined() == cell.reads_x, "recurrence",
          std::string("the cell ") + cell.name + (cell.reads_x ? " reads x" : " reads no x"));
    check(!cell.reads_x || (in.x_TBD.sizes() == at::IntArrayRef({steps, batch, columns}) &&
                            in.x_TBD.scalar_type() == in.u.scalar_type()),
          "recurrence", "skip input " + shape_of(in.x_TBD) + " does not fit u " + shape_of(in.u));
    check_weights(in);
    const auto compute = compute_type(in.u.scalar_type());
    const auto fits = [&](const Tensor& each) { return !each.defined() || each.scalar_type() == compute; };
    check(std::all_of(in.weights.begin(), in.weights.end(), fits) && fits(in.c0_BD) && fits(in.mask_BD), "recurrence",
          "weights, c0 and mask must be fp32 (fp64 for fp64 input)");
    for (const Tensor* each : {&in.c0_BD, &in.mask_BD})
        check(!each->defined() || each->sizes() == at::IntArrayRef({batch, columns}), "recurrence",
              "state or mask " + shape_of(*each) + " is not [B][D]");
    check_flags(in.flags_TB, in.u, "recurrence");
}

// Where the output is the state in the state's own type, it serves as the states that the backward pass reads; padded
// steps show 0 instead.
bool output_is_state(const RecurrenceInput& in) {
    return cell_of(in).shows_state && in.u.scalar_type() == compute_type(in.u.scalar_type()) && !in.flags_TB.defined();
}

}  // namespace

RecurrenceOutput recurrence(const RecurrenceInput& input) {
    ProfileScope scope("lithe::recurrence");
    check_input(input);
    RecurrenceInput in = input;
    for (Tensor* each : {&in.u, &in.x_TBD, &in.c0_BD, &in.mask_BD, &in.flags_TB}) *each = plain(*each);
    for (Tensor& each : in.weights) each = plain(each);
    const auto& w = input.weights;
    const bool differentiate = needs_gradient(input.u, input.x_TBD, input.c0_BD, w[0], w[1], w[2], w[3]);
    const int64_t steps = in.u.size(0), batch = in.u.size(1), columns = columns_of(in);
    RecurrenceOutput out{at::empty({steps, batch, columns}, in.u.options()),
                         at::empty({batch, columns}, compute_options(in))};
    const bool keep = differentiate && !output_is_state(in);
    const Tensor c_all = keep ? at::empty({steps, batch, columns}, compute_options(in)) : Tensor();
    for_storage(in.u.scalar_type(), "recurrence", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        auto args = forward_args<S>(in, out.h_TBD, c_all, out.c_BD);
        if (steps == 0 || batch == 0) {
            if (in.c0_BD.defined()) out.c_BD.copy_(in.c0_BD);
            else out.c_BD.zero_();
        } else if (in.u.is_cuda()) {
            check_cuda(kernels::cuda_table()->of<S>().recurrence_forward(args, stream_of(in.u, "recurrence")),
                       "recurrence");
        } else {
            kernels::recurrence_forward(args);
        }
        add_work(0, kernels::recurrence_forward_bytes<S>(args.shape, keep));
    });
    if (differentiate && steps > 0 && batch > 0) {
        auto node = make_node<RecurrenceNode>(input.u, input.x_TBD, input.c0_BD, w[0], w[1], w[2], w[3]);
        const Tensor c = keep ? c_all : out.h_TBD.detach();
        node->saved = {in, c, uint32_t(c._version())};
        torch::autograd::set_history({out.h_TBD, out.c_BD}, node);
    }
    return out;
}

}  // namespace lithe::ops

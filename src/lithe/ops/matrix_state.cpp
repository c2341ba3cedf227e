#include "lithe/ops/matrix_state.h"

#include "lithe/kernels/cuda.h"
#include "lithe/kernels/matrix_state/delta_state.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/recurrence.h"
#include "lithe/ops/rms_norm.h"

namespace lithe::ops {
namespace {

using kernels::HeadRows;
using kernels::StateDecay;
using torch::autograd::variable_list;

constexpr const char* kName = "matrix state";

// q, k and v, or their gradients, wherever they lie.
struct Parts {
    Tensor q, k, v;  // [T][B][H][numbers]
    Parts() = default;
    explicit Parts(const MatrixStateInput& in) : q(in.q_TBHK), k(in.k_TBHK), v(in.v_TBHV) {
        if (in.packed_TBX.defined()) *this = Parts(in.packed_TBX, in);
    }
    Parts(const Tensor& packed, const MatrixStateInput& in) {
        const int64_t keys = in.heads * in.key;
        auto part = [&](int64_t first, int64_t size) {
            return packed.narrow(2, first, in.heads * size).unflatten(2, {in.heads, size});
        };
        q = part(0, in.key);
        k = part(keys, in.key);
        v = part(2 * keys, in.value);
    }
};

template <class T> HeadRows<T> rows_of(const Tensor& x) {
    return {pointer<std::remove_const_t<T>>(x), x.stride(0), x.stride(1), x.size(2) == 1 ? 0 : x.stride(2)};
}

// Logarithms of decays or gates, whichever there are.
const Tensor& decays_of(const MatrixStateInput& in) { return in.gates_TBX.defined() ? in.gates_TBX : in.g_TBX; }

const Tensor& first_input(const MatrixStateInput& in) { return in.packed_TBX.defined() ? in.packed_TBX : in.v_TBHV; }

kernels::MatrixStateShape shape_of_input(const MatrixStateInput& in) {
    kernels::MatrixStateShape shape{.steps = first_input(in).size(0),
                                    .batch = first_input(in).size(1),
                                    .heads = in.heads,
                                    .key = in.key,
                                    .value = in.value};
    shape.normalised = in.admit_TBH.defined();
    if (const Tensor& decays = decays_of(in); decays.defined()) {
        const bool by_head = shape.normalised || (decays.size(2) == in.heads && in.key > 1);
        shape.decay = by_head ? StateDecay::head : StateDecay::channel;
    }
    return shape;
}

// [T][B][numbers] of heads side by side.
template <class T> HeadRows<T> packed_rows(const Tensor& x, int64_t heads) {
    if (!x.defined()) return {};
    return {pointer<std::remove_const_t<T>>(x), x.stride(0), x.stride(1), x.size(2) / heads};
}

// States before blocks of steps, for the backward pass; undefined: not kept.
struct Kept {
    Tensor states, sums;
};

template <class S> kernels::MatrixStateForward<S> forward_args(const MatrixStateInput& in, const Kept& kept) {
    using C = kernels::Compute<S>;
    const Parts parts(in);
    return {.shape = shape_of_input(in),
            .scale = C(in.scale),
            .unit = C(in.unit),
            .q = rows_of<const S>(parts.q),
            .k = rows_of<const S>(parts.k),
            .v = rows_of<const S>(parts.v),
            .g = packed_rows<const C>(in.g_TBX, in.heads),
            .gates = packed_rows<const S>(in.gates_TBX, in.heads),
            .temperature = C(in.temperature),
            .admit = packed_rows<const C>(in.admit_TBH, in.heads),
            .flags = pointer<uint8_t>(in.flags_TB),
            .start = pointer<C>(in.start_BHKV),
            .kept = pointer<C>(kept.states),
            .start_sums = pointer<C>(in.start_sums_BHX),
            .kept_sums = pointer<C>(kept.sums)};
}

// What is written depends on what is read: kernels/matrix_state/delta_state.h.
bool corrects(const MatrixStateInput& in) { return in.beta_TBH.defined() || in.a_TBHK.defined(); }

template <class S> HeadRows<const S> rows_or_none(const Tensor& x) {
    return x.defined() ? rows_of<const S>(x) : HeadRows<const S>();
}

template <class S> void run_forward(const MatrixStateInput& in, const kernels::MatrixStateForward<S>& args) {
    const kernels::DeltaStateForward<S> correcting{
        .in = args,
        .beta = packed_rows<const kernels::Compute<S>>(in.beta_TBH, in.heads),
        .a = rows_or_none<S>(in.a_TBHK),
        .b = rows_or_none<S>(in.b_TBHK)};
    if (first_input(in).is_cuda()) {
        const auto& table = kernels::cuda_table()->of<S>();
        void* stream = stream_of(first_input(in), kName);
        check_cuda(
            corrects(in) ? table.delta_state_forward(correcting, stream) : table.matrix_state_forward(args, stream),
            kName);
    } else if (corrects(in)) {
        kernels::delta_state_forward(correcting);
    } else {
        kernels::matrix_state_forward(args);
    }
}

// Gradients of what not all recurrences have; undefined: none.
struct MoreGradients {
    Tensor beta, a, b, admit, start_sums;
    MoreGradients(const MatrixStateInput& in, const at::TensorOptions& compute) {
        if (in.beta_TBH.defined()) beta = at::empty(in.beta_TBH.sizes(), compute);
        if (in.a_TBHK.defined()) {
            a = at::empty(in.a_TBHK.sizes(), in.a_TBHK.options());
            b = at::empty_like(a);
        }
        if (!in.admit_TBH.defined()) return;
        admit = at::empty(in.admit_TBH.sizes(), compute);
        start_sums = at::empty({in.admit_TBH.size(1), in.heads, in.key + 1}, compute);
    }
};

template <class S>
void run_backward(const MatrixStateInput& in, const kernels::MatrixStateBackward<S>& args, const MoreGradients& more) {
    using C = kernels::Compute<S>;
    if (!corrects(in)) {
        if (!first_input(in).is_cuda()) return kernels::matrix_state_backward(args);
        void* stream = stream_of(first_input(in), kName);
        return check_cuda(kernels::cuda_table()->of<S>().matrix_state_backward(args, stream), kName);
    }
    kernels::DeltaStateBackward<S> correcting{.in = args,
                                              .beta = packed_rows<const C>(in.beta_TBH, in.heads),
                                              .a = rows_or_none<S>(in.a_TBHK),
                                              .b = rows_or_none<S>(in.b_TBHK),
                                              .d_beta = packed_rows<C>(more.beta, in.heads)};
    if (more.a.defined()) {
        correcting.da = rows_of<S>(more.a);
        correcting.db = rows_of<S>(more.b);
    }
    if (!first_input(in).is_cuda()) return kernels::delta_state_backward(correcting);
    const auto compute = first_input(in).options().dtype(compute_type(first_input(in).scalar_type()));
    const Tensor room = at::empty({kernels::room_of_delta_state(args.forward.shape)}, compute);
    correcting.room = pointer<C>(room);
    void* stream = stream_of(first_input(in), kName);
    check_cuda(kernels::cuda_table()->of<S>().delta_state_backward(correcting, stream), kName);
}

// For profiles: the products of the step form, and the tensors that are read or written.
void count_work(const MatrixStateInput& in, int passes, std::initializer_list<Tensor> more) {
    if (!profiling()) return;
    double bytes = 0;
    for (const Tensor& each : {in.packed_TBX, in.q_TBHK, in.k_TBHK, in.v_TBHV, decays_of(in), in.a_TBHK, in.b_TBHK})
        if (each.defined()) bytes += passes * double(each.nbytes());
    for (const Tensor& each : more)
        if (each.defined()) bytes += double(each.nbytes());
    const auto shape = shape_of_input(in);
    add_work(passes * (corrects(in) ? kernels::delta_state_flops(shape, in.a_TBHK.defined())
                                    : kernels::matrix_state_flops(shape)),
             bytes);
}

struct MatrixStateNode : torch::autograd::Node {
    MatrixStateInput in;
    Kept kept;
    Tensor last, last_sums;

    std::string name() const override { return "lithe::matrix_state backward"; }

    // Gradients of q and k by head, summed where heads share them.
    static Tensor shared_sum(const Tensor& gradient, const Tensor& of) {
        return of.size(2) == gradient.size(2) ? gradient : gradient.sum(2, true);
    }

    variable_list apply(variable_list&& gradients) override {
        const bool packed = in.packed_TBX.defined();
        check(packed || in.v_TBHV.defined(), kName, "backward was run twice through a graph that was freed");
        const auto shape = shape_of_input(in);
        const auto of_input = first_input(in).options();
        const Tensor d_out = gradients[0].defined()
                                 ? gradients[0].contiguous()
                                 : at::zeros({shape.steps, shape.batch, in.heads * in.value}, of_input);
        const Tensor d_last = gradients[1].defined() ? gradients[1].contiguous() : Tensor();
        const Tensor d_packed = packed ? at::empty(in.packed_TBX.sizes(), of_input) : Tensor();
        Parts to;
        if (packed) {
            to = Parts(d_packed, in);
        } else {
            to.q = at::empty({shape.steps, shape.batch, in.heads, in.key}, of_input);
            to.k = at::empty_like(to.q);
            to.v = at::empty({shape.steps, shape.batch, in.heads, in.value}, of_input);
        }
        constexpr int kDecays = 4;  // their place among the inputs
        const bool wanted = shape.normalised || (decays_of(in).defined() && task_should_compute_output(kDecays));
        const bool gated = in.gates_TBX.defined();
        const Tensor d_gates = wanted && gated ? at::empty_like(in.gates_TBX) : Tensor();
        const Tensor dg =
            wanted && (!gated || d_out.is_cuda()) ? at::empty(decays_of(in).sizes(), last.options()) : Tensor();
        const Tensor d_start = at::empty_like(last);
        const MoreGradients more(in, last.options());
        const Tensor d_last_sums = shape.normalised ? plain(gradients[2]) : Tensor();
        const Tensor room =
            shape.normalised && d_out.is_cuda()
                ? at::empty({shape.steps, shape.batch, in.heads, kernels::kNormalisedRoom}, last.options())
                : Tensor();
        for_storage(d_out.scalar_type(), kName, [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            using C = kernels::Compute<S>;
            kernels::MatrixStateBackward<S> args{.forward = forward_args<S>(in, kept),
                                                 .d_out = packed_rows<const S>(d_out, in.heads),
                                                 .d_last = pointer<C>(d_last),
                                                 .dq = rows_of<S>(to.q),
                                                 .dk = rows_of<S>(to.k),
                                                 .dv = rows_of<S>(to.v),
                                                 .dg = packed_rows<C>(dg, in.heads),
                                                 .d_gates = packed_rows<S>(d_gates, in.heads),
                                                 .d_start = pointer<C>(d_start),
                                                 .d_admit = packed_rows<C>(more.admit, in.heads),
                                                 .d_last_sums = pointer<C>(d_last_sums),
                                                 .d_start_sums = pointer<C>(more.start_sums),
                                                 .room = pointer<C>(room)};
            args.forward.last = pointer<C>(last);
            args.forward.last_sums = pointer<C>(last_sums);
            run_backward(in, args, more);
        });
        count_work(in, 2, {d_out, kept.states});
        const Tensor start = in.start_BHKV.defined() ? d_start : Tensor();
        const Tensor decays = gated ? d_gates : dg, sums = in.start_sums_BHX.defined() ? more.start_sums : Tensor();
        variable_list all = {d_packed,  Tensor(), Tensor(), Tensor(),   decays, start,
                             more.beta, more.a,   more.b,   more.admit, sums};
        if (packed) return all;
        all[1] = shared_sum(to.q, in.q_TBHK);
        all[2] = shared_sum(to.k, in.k_TBHK);
        all[3] = to.v;
        return all;
    }

    void release_variables() override {
        in = {};
        kept = {};
        last.reset();
        last_sums.reset();
    }
};

void check_shapes(const MatrixStateInput& in) {
    const bool packed = in.packed_TBX.defined();
    const Tensor& like = first_input(in);
    check(in.heads > 0 && in.key > 0 && in.value > 0, kName, "heads and their sizes must be at least 1");
    for_storage(like.scalar_type(), kName, [](auto*) {});
    if (packed) {
        check(like.dim() == 3 && like.size(2) == in.heads * (2 * in.key + in.value), kName,
              shape_of(like) + " does not hold q, k and v of " + std::to_string(in.heads) + " heads");
    } else {
        check(like.dim() == 4 && like.size(2) == in.heads && like.size(3) == in.value, kName,
              "v " + shape_of(like) + " is not [T][B][heads][value]");
        for (const Tensor* each : {&in.q_TBHK, &in.k_TBHK})
            check(each->dim() == 4 && each->sizes().slice(0, 2) == like.sizes().slice(0, 2) &&
                      (each->size(2) == in.heads || each->size(2) == 1) && each->size(3) == in.key &&
                      each->scalar_type() == like.scalar_type(),
                  kName, "q or k " + shape_of(*each) + " does not fit v " + shape_of(like));
    }
    const auto compute = compute_type(like.scalar_type());
    const Tensor& decays = decays_of(in);
    check(!decays.defined() || (decays.dim() == 3 && decays.sizes().slice(0, 2) == like.sizes().slice(0, 2) &&
                                (decays.size(2) == in.heads || decays.size(2) == in.heads * in.key)),
          kName, "decays " + shape_of(decays) + " do not fit " + shape_of(like));
    check(!in.g_TBX.defined() || (in.g_TBX.scalar_type() == compute && !in.gates_TBX.defined()), kName,
          "logarithms of decays must be fp32 (fp64 for fp64) and stand alone");
    check(!in.gates_TBX.defined() || in.gates_TBX.scalar_type() == like.scalar_type(), kName,
          "gates must have v's type");
    check(!in.beta_TBH.defined() || (in.beta_TBH.sizes() == at::IntArrayRef({like.size(0), like.size(1), in.heads}) &&
                                     in.beta_TBH.scalar_type() == compute),
          kName,
          "beta " + shape_of(in.beta_TBH) + " does not fit " + shape_of(like) + ", or is not fp32 (fp64 for fp64)");
    check(in.a_TBHK.defined() == in.b_TBHK.defined() && !(in.a_TBHK.defined() && in.beta_TBH.defined()), kName,
          "a and b stand together, and without beta");
    for (const Tensor* each : {&in.a_TBHK, &in.b_TBHK})
        check(!each->defined() || (each->sizes() == at::IntArrayRef({like.size(0), like.size(1), in.heads, in.key}) &&
                                   each->scalar_type() == like.scalar_type()),
              kName, "a or b " + shape_of(*each) + " does not fit " + shape_of(like));
    check(!in.start_BHKV.defined() ||
              (in.start_BHKV.sizes() == at::IntArrayRef({like.size(1), in.heads, in.key, in.value}) &&
               in.start_BHKV.scalar_type() == compute),
          kName, "state " + shape_of(in.start_BHKV) + " does not fit, or is not fp32 (fp64 for fp64)");
    check_flags(in.flags_TB, like, kName);
}

void check_sums(const MatrixStateInput& in) {
    const bool normalised = in.admit_TBH.defined();
    check(normalised || !in.start_sums_BHX.defined(), kName, "sums at the start stand with input gates");
    if (!normalised) return;
    const int64_t steps = first_input(in).size(0), batch = first_input(in).size(1);
    const auto compute = compute_type(first_input(in).scalar_type());
    check(in.admit_TBH.sizes() == at::IntArrayRef({steps, batch, in.heads}) && in.admit_TBH.scalar_type() == compute,
          kName, "input gates " + shape_of(in.admit_TBH) + " do not fit, or are not fp32 (fp64 for fp64)");
    check(decays_of(in).defined() && decays_of(in).size(2) == in.heads && !corrects(in) && in.unit == 0, kName,
          "a normaliser stands with a decay for each head, without the delta rule and with q and k as they are");
    check(in.start_sums_BHX.defined() == in.start_BHKV.defined() &&
              (!in.start_sums_BHX.defined() ||
               (in.start_sums_BHX.sizes() == at::IntArrayRef({batch, in.heads, in.key + 1}) &&
                in.start_sums_BHX.scalar_type() == compute)),
          kName, "sums " + shape_of(in.start_sums_BHX) + " do not fit the state that they stand beside");
}

// The same with q and k divided by their lengths: RMS norms with a gain of 1 / sqrt(size).
MatrixStateInput with_unit_rows(const MatrixStateInput& in) {
    const Parts parts(in);
    const auto compute = first_input(in).options().dtype(compute_type(first_input(in).scalar_type()));
    const Tensor gain = at::full({in.key}, 1 / std::sqrt(double(in.key)), compute.requires_grad(false));
    MatrixStateInput out = in;
    out.packed_TBX = Tensor();
    out.q_TBHK = rms_norm(parts.q, gain, in.unit / double(in.key));
    out.k_TBHK = rms_norm(parts.k, gain, in.unit / double(in.key));
    out.v_TBHV = parts.v;
    out.unit = 0;
    return out;
}

// Without history, numbers of a token side by side.
Tensor side_by_side(const Tensor& x) {
    if (!x.defined()) return x;
    const Tensor plain = x.detach();
    return plain.stride(-1) == 1 || plain.size(-1) == 1 ? plain : plain.contiguous();
}

}  // namespace

MatrixStateOutput matrix_state(const MatrixStateInput& input) {
    ProfileScope scope("lithe::matrix_state");
    check_shapes(input);
    check_sums(input);
    if (input.unit > 0 && first_input(input).is_cuda()) return matrix_state(with_unit_rows(input));
    MatrixStateInput in = input;
    for (Tensor* each : {&in.q_TBHK, &in.k_TBHK, &in.v_TBHV, &in.packed_TBX, &in.a_TBHK, &in.b_TBHK})
        *each = side_by_side(*each);
    for (Tensor* each :
         {&in.g_TBX, &in.gates_TBX, &in.beta_TBH, &in.admit_TBH, &in.start_BHKV, &in.start_sums_BHX, &in.flags_TB})
        *each = plain(*each);
    const bool differentiate =
        needs_gradient(input.packed_TBX, input.q_TBHK, input.k_TBHK, input.v_TBHV, decays_of(input), input.start_BHKV,
                       input.beta_TBH, input.a_TBHK, input.b_TBHK, input.admit_TBH, input.start_sums_BHX);
    const auto shape = shape_of_input(in);
    const auto of_input = first_input(in).options(),
               compute = of_input.dtype(compute_type(first_input(in).scalar_type()));
    MatrixStateOutput out{at::empty({shape.steps, shape.batch, in.heads * in.value}, of_input),
                          at::empty({shape.batch, in.heads, in.key, in.value}, compute)};
    if (shape.normalised) out.sums_BHX = at::empty({shape.batch, in.heads, in.key + 1}, compute);
    Kept kept;
    if (differentiate) {
        const int64_t blocks = kernels::state_blocks(shape.steps);
        kept.states = at::empty({shape.batch, in.heads, blocks, in.key, in.value}, compute);
        if (shape.normalised) kept.sums = at::empty({shape.batch, in.heads, blocks, in.key + 1}, compute);
    }
    for_storage(out.out_TBX.scalar_type(), kName, [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        auto args = forward_args<S>(in, kept);
        args.out = packed_rows<S>(out.out_TBX, in.heads);
        args.last = pointer<kernels::Compute<S>>(out.state_BHKV);
        args.last_sums = pointer<kernels::Compute<S>>(out.sums_BHX);
        run_forward(in, args);
    });
    count_work(in, 1, {out.out_TBX, kept.states});
    if (differentiate) {
        auto node = make_node<MatrixStateNode>(input.packed_TBX, input.q_TBHK, input.k_TBHK, input.v_TBHV,
                                               decays_of(input), input.start_BHKV, input.beta_TBH, input.a_TBHK,
                                               input.b_TBHK, input.admit_TBH, input.start_sums_BHX);
        node->in = in;
        node->kept = kept;
        node->last = out.state_BHKV.detach();
        variable_list outputs = {out.out_TBX, out.state_BHKV};
        if (shape.normalised) {
            node->last_sums = out.sums_BHX.detach();
            outputs.push_back(out.sums_BHX);
        }
        torch::autograd::set_history(outputs, node);
    }
    return out;
}

}  // namespace lithe::ops
